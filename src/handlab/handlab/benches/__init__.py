"""Measurements beside their limits, one file each; `./handlab bench NAME`."""
