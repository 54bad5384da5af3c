"""Verbs that record, replay and search demonstrations."""
