"""Learning algorithms in torch, one file each, with checkpoints and evaluation."""
