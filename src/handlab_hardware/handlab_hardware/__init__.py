"""Real hands, down to the wire: drivers on the vendor's SDK and on CAN, and emulators of both."""
