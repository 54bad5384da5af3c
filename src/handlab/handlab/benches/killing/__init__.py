"""Bench of deaths: what is left of hand, processes and files after any process was struck."""
