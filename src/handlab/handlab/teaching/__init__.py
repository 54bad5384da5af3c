"""Recording, replay and search of demonstrations."""
