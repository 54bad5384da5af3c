"""Motions that a robot makes to find its own demonstrations."""
