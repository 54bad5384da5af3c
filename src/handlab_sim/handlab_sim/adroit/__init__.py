"""Adroit hand of gymnasium-robotics and its Minari data sets."""
