"""Local control: fitted linear dynamics, quadratic costs and the regulator of both."""
