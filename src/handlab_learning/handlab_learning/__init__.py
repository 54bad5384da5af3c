"""Learning algorithms in torch, models, and training runs."""
