"""The operator at the terminal: keys, and the emergency stop."""
