"""Files, paths, validation, processes and their scheduling."""
