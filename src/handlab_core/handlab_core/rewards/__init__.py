"""Rewards: terms, and their weighted sum."""
