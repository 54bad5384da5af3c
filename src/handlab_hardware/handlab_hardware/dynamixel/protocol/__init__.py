"""Protocol 2.0 of the driver: serial port, instructions, registers, servo models and units."""
