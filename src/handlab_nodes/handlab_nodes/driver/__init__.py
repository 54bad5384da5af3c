"""Parts of the driver node."""
