"""Training, evaluation and sampling."""
