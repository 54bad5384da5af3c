"""Verbs that train, evaluate and compare policies."""
