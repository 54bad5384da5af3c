"""Allegro hand on CAN: backend, driver, protocol and an emulated hand."""
