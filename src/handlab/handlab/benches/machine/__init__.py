"""Benches of the machine: what a newcomer waits for."""
