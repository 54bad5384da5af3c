"""Parameters of worlds: drawn for each episode, fitted to a hand, or those of an emulated one."""
