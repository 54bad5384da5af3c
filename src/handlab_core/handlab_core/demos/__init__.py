"""Demonstrations: a scripted teacher, and from recorded motion to a policy's actions."""
