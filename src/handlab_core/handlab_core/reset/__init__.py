"""Resets: ticked procedures that bring object and hand to the start of an episode."""
