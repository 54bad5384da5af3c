"""Bending of a round lobe of soft material: a short beam, clamped at one end.

Bending after Euler and Bernoulli, shear after Timoshenko: a lobe is not much longer than thick. The
simulation has one joint in its place, after Howell's pseudo-rigid-body model (Howell, Compliant
Mechanisms, 2001, section 5.1), whose end moves on the beam's path even where it bends far.
"""

from dataclasses import dataclass

import numpy as np

ROOT = 0.15
"""Fraction of the free length; place of the joint. One minus Howell's characteristic radius factor,
0.85."""
SHEAR_FACTOR = 0.9
"""Shear coefficient of a round section; Timoshenko."""


@dataclass(frozen=True)
class RoundBeam:
    """Clamped beam of round section."""

    modulus: float  # Pa; Young's modulus
    poisson: float
    radius: float  # m
    length: float  # m; free length

    @property
    def bending(self) -> float:
        """Bending stiffness, modulus times second moment of area; N m2."""
        return self.modulus * np.pi * self.radius**4 / 4

    @property
    def shear(self) -> float:
        """Shear stiffness, factor times modulus times area; N."""
        modulus = self.modulus / (2 * (1 + self.poisson))
        return SHEAR_FACTOR * modulus * np.pi * self.radius**2

    def compliance(self, x: float) -> float:
        """Return the deflection by a unit force across the beam, `x` [m] from its root; m/N."""
        return x**3 / (3 * self.bending) + x / self.shear

    @property
    def joint_stiffness(self) -> float:
        """Stiffness of the joint with the same deflection under a force on its end; N m/rad."""
        arm = (1 - ROOT) * self.length
        return arm**2 / self.compliance(self.length)
