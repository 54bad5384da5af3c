"""Demonstrations: recording, segmentation, inference of actions, scripted teachers."""
