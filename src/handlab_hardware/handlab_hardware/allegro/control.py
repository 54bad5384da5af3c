"""From position targets to torques: an interpolator, a velocity estimate, PD. Time is an argument.

Arrays are (16,), of the joints of one hand, in one order.
"""

import numpy as np

from handlab_core.types import Array, BoolArray

CUTOFF = 30.0
"""Hz, of the velocity; wilson-ko/allegro_hand_ros2, LOWPASS_FILTER_CUTOFF_FREQ."""

LONGEST_MOVE = 0.1
"""s. A new target is reached after as long as the one before it lasted, but no later than this: the
period of a policy."""


class VelocityEstimate:
    """Velocity as the difference of positions, through a first-order low-pass.

    The filter solves tau dv/dt = dq/dt - v exactly for a position that is linear between samples:

        v <- a v + (1 - a)/dt (q - q_before),   a = exp(-dt/tau)

    Its gain at rest is one (the filter of the vendor's first driver has 0.99, which also biases
    positions), and (1 - a)/dt stays finite where frames that waited arrive together.

    Args:
        cutoff: Hz.
    """

    def __init__(self, cutoff: float = CUTOFF) -> None:
        self._tau = 1.0 / (2 * np.pi * cutoff)
        self._q: Array | None = None
        self._stamp: Array
        self._v: Array

    def update(self, q: Array, stamp: Array) -> Array:
        """Take positions [rad] that were measured at `stamp` [s]; return velocities [rad/s].

        Joints whose stamp did not advance keep their velocity.
        """
        if self._q is None:
            self._v = np.zeros_like(q)
        else:
            dt = stamp - self._stamp
            new = dt > 0
            safe = np.where(new, dt, 1.0)
            a = np.exp(-safe / self._tau)
            v = a * self._v + (1 - a) / safe * (q - self._q)
            self._v = np.where(new, v, self._v)
        self._q, self._stamp = q.copy(), stamp.copy()
        return self._v.copy()


class Interpolator:
    """Moves a setpoint evenly from one target to the next, never faster than a limit.

    Args:
        q: rad, where the joints are.
        max_rate: rad/s.
    """

    def __init__(self, q: Array, max_rate: Array) -> None:
        self._max_rate = max_rate
        self._setpoint, self._target = q.copy(), q.copy()
        self._rate = np.zeros_like(q)
        self._now = self._aimed = -np.inf

    @property
    def target(self) -> Array:
        """Return the target of the setpoint, (n,) rad."""
        return self._target.copy()

    def aim(self, target: Array, now: float, period: float) -> None:
        """Take a target [rad] at the time `now` [s].

        Args:
            target: where to go; the same as before, or NaN, changes nothing.
            now: s.
            period: s, for which the target is meant to hold.
        """
        target = np.where(np.isfinite(target), target, self._target)
        if np.array_equal(target, self._target):
            return
        self.at(now)
        duration = min(max(now - self._aimed, period), LONGEST_MOVE)
        self._aimed, self._target = now, target
        self._rate = np.minimum(np.abs(target - self._setpoint) / duration, self._max_rate)

    def at(self, now: float) -> Array:
        """The setpoint [rad] at a time [s]; at an earlier one than before it is where it is."""
        reach = self._rate * min(max(now - self._now, 0.0), LONGEST_MOVE)
        self._setpoint = self._setpoint + np.clip(self._target - self._setpoint, -reach, reach)
        self._now = max(self._now, now)
        return self._setpoint.copy()

    def follow(self, q: Array, joints: BoolArray) -> None:
        """Put the setpoint of some joints where they are [rad], so that none jumps later."""
        self._setpoint = np.where(joints, q, self._setpoint)
        away = np.abs(self._target - self._setpoint)
        self._rate = np.where(joints, np.minimum(away / LONGEST_MOVE, self._max_rate), self._rate)

    def hold(self) -> None:
        """Stay at the present setpoint."""
        self._target = self._setpoint.copy()


def pd_torque(
    error: Array, velocity: Array, stiffness: Array, damping: Array, limit: Array
) -> Array:
    """Torque [N m] that answers an error [rad] and a velocity [rad/s], within +- limit [N m]."""
    return np.clip(stiffness * error - damping * velocity, -limit, limit)
