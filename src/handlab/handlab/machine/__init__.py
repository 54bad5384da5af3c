"""Checks of this machine, and repairs."""
