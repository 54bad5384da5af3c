"""Limits, clamping, watchdogs and thermal protection."""
