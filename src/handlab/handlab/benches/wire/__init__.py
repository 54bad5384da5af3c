"""Benches of the servos' bus and of the emulated one."""
