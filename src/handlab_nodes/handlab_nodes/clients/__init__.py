"""Clients of a running graph."""
