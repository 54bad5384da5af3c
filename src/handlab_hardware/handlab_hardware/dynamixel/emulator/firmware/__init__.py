"""Firmware of an emulated servo: packets, control table, instructions and control loop."""
