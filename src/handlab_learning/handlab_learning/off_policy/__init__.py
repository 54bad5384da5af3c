"""Off-policy learning: replay memory, soft actor-critic, imitation, and trials of policies."""
