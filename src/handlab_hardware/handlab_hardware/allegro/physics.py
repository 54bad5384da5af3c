"""Physics of an emulated Allegro hand: joint dynamics and motor temperatures."""

from typing import Protocol

import numpy as np

from handlab_core.hands import Hand
from handlab_core.types import Array

AMBIENT = 25.0
"""degrees Celsius; ambient temperature; chosen."""
HEATING = 60.0
"""K; heating by a long stall at the vendor's torque clip; chosen, since no figure is published.

Such a stall exceeds the temperature limit, any lighter load does not."""
HEAT_TIME = 120.0
"""s; thermal time constant; chosen."""


class TorquePhysics(Protocol):
    """Dynamics of sixteen joints in the vendor's order."""

    def step(self, torque: Array, dt: float) -> tuple[Array, Array]:
        """Apply torques, N m, for a time, s; return angles, rad, and velocities, rad/s."""
        ...


class SecondOrder:
    """Independent second-order joints: inertia, friction, and stops at their limits.

    The inertia is that of the rotors, the largest part. Dry friction is left out.
    """

    def __init__(self, hand: Hand) -> None:
        self._lower, self._upper = hand.lower, hand.upper
        self._inertia, self._viscous = hand.servos.armature, hand.servos.viscous
        self.q, self.qd = hand.nominal.copy(), np.zeros(hand.n)

    def step(self, torque: Array, dt: float) -> tuple[Array, Array]:
        """See `TorquePhysics`; exact integration of damping keeps long steps stable."""
        decay = np.exp(-self._viscous / self._inertia * dt)
        settled = torque / self._viscous
        self.qd = settled + (self.qd - settled) * decay
        q = self.q + self.qd * dt
        self.q = np.clip(q, self._lower, self._upper)
        self.qd = np.where(q == self.q, self.qd, 0.0)
        return self.q.copy(), self.qd.copy()


class MotorHeat:
    """First-order motor temperatures, heated by the square of the torque.

    Args:
        clip: (n,) torque at which a long stall heats by HEATING, in any unit.
    """

    def __init__(self, clip: Array) -> None:
        self._clip = clip
        self.temperature = np.full(len(clip), AMBIENT)
        """(n,) degrees Celsius; motor temperatures."""

    def step(self, torque: Array, dt: float) -> Array:
        """Apply torques, in the unit of the clip, for a time, s; return temperatures."""
        settled = AMBIENT + HEATING * np.square(torque / self._clip)
        self.temperature = settled + (self.temperature - settled) * np.exp(-dt / HEAT_TIME)
        return self.temperature.copy()
