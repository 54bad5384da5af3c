"""Files of policies: those of a run, of a base for a correction, and skills in one file."""
