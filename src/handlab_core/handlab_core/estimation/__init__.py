"""Estimators of the object's state, one file each."""
