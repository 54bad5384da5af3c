"""Policies, one kind each: what acts on the robot, in numpy."""
