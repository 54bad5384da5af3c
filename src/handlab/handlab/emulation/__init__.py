"""Emulated hands: simulated motors behind a real wire."""
