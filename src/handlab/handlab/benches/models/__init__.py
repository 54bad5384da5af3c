"""Benches of models of bodies, beside measurements and formulas."""
