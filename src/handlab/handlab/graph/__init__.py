"""The graph of nodes: configuration, processes, launch and environment."""
