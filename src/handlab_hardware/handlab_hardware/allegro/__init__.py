"""The Allegro hand on CAN: the driver, and an emulated hand."""
