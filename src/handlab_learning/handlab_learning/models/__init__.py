"""Policy network, value function and optimizer state."""
