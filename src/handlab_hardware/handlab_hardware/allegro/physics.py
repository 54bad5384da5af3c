"""What is behind an emulated hand: joints that torques move, and motors that torques heat."""

from typing import Protocol

import numpy as np

from handlab_core.hands import Hand
from handlab_core.types import Array

INERTIA = 0.001
"""kg m2 of every joint, links included; chosen: the armature in MuJoCo, which is most of it."""
DAMPING = 0.1  # N m s/rad, as in urdf/allegro

AMBIENT = 25.0  # degrees Celsius
HEATING = 60.0
"""K above ambient after a long stall at the vendor's clip. Chosen: so that such a stall is too much
and anything else is not; nothing is published."""
HEAT_TIME = 120.0  # s, chosen: "minutes"


class TorquePhysics(Protocol):
    """Sixteen joints in the vendor's order."""

    def step(self, torque: Array, dt: float) -> tuple[Array, Array]:
        """Apply torques [N m] for a time [s]; return angles [rad] and velocities [rad/s]."""
        ...


class SecondOrder:
    """Joints that know nothing of each other: inertia, damping, stops at their limits."""

    def __init__(self, hand: Hand) -> None:
        self._lower, self._upper = hand.lower, hand.upper
        self.q, self.qd = hand.nominal.copy(), np.zeros(hand.n)

    def step(self, torque: Array, dt: float) -> tuple[Array, Array]:
        """See `TorquePhysics`. Damping is solved exactly: no step is too long for it."""
        decay = np.exp(-DAMPING / INERTIA * dt)
        settled = torque / DAMPING
        self.qd = settled + (self.qd - settled) * decay
        q = self.q + self.qd * dt
        self.q = np.clip(q, self._lower, self._upper)
        self.qd = np.where(q == self.q, self.qd, 0.0)
        return self.q.copy(), self.qd.copy()


class MotorHeat:
    """Temperatures of motors: first order, heated by the square of the torque.

    Args:
        clip: (n,) torque at which a long stall heats by HEATING, in any unit.
    """

    def __init__(self, clip: Array) -> None:
        self._clip = clip
        self.temperature = np.full(len(clip), AMBIENT)
        """degrees Celsius."""

    def step(self, torque: Array, dt: float) -> Array:
        """Let torques, in the unit of the clip, heat for a time [s]; return temperatures."""
        settled = AMBIENT + HEATING * np.square(torque / self._clip)
        self.temperature = settled + (self.temperature - settled) * np.exp(-dt / HEAT_TIME)
        return self.temperature.copy()
