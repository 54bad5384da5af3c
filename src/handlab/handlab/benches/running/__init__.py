"""Benches of a running graph and of the simulation: speed, pace, deaths."""
