"""Stations, environments, policies and episodes."""
