"""MuJoCo: the scene from a hand's URDF, worlds, batches and rendering."""
