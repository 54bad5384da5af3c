"""Benches of what is learned, and how fast."""
