"""Identification of a hand's servos: a safe motion, a fit, a page."""
