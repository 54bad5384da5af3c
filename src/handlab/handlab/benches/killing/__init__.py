"""Bench of deaths: state of hand, processes and files after a signal to any process."""
