"""Interface between hands, real or simulated, and everything above them."""
