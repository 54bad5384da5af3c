"""Verbs about this machine and this installation."""
