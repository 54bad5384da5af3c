"""MuJoCo: scenes from URDF, the batched backend, rendering, and the Adroit suite."""
