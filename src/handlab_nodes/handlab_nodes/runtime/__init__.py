"""Event loop, actions, subscriptions, parameters and diagnostics of a node."""
