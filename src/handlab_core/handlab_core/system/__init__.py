"""Files, paths, validation, registries, processes and their scheduling."""
