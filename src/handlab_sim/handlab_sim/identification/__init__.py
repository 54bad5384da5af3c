"""Fit of servo parameters to a recorded motion, and a safe place for the motion."""
