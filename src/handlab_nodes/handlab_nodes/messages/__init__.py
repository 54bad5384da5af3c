"""Topics, quality of service, encoding and conversion of messages."""
