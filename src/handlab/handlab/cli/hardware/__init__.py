"""Verbs for a hand at the bench: directly on its bus, or through a running graph."""
