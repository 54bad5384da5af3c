"""Objects that a hand manipulates, on their fixtures."""
