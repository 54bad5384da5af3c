"""Benches of learning: success, robot-hours, demonstrations, estimators and resets."""
