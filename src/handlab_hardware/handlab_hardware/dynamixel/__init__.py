"""Dynamixel X servos on a serial bus (Protocol 2.0): the driver, and an emulated bus."""
