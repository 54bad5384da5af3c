"""Runs: configuration, directory, checkpoints, trainer and evaluation."""
