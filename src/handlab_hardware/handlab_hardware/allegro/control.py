"""Torque control from position targets: interpolator, velocity estimate, PD.

Time is an argument. Arrays are (16,), one value for each joint of a hand, in one order.
"""

import numpy as np

from handlab_core.types import Array, BoolArray

CUTOFF = 30.0
"""Hz; velocity filter's cutoff; wilson-ko/allegro_hand_ros2, LOWPASS_FILTER_CUTOFF_FREQ."""

LONGEST_MOVE = 0.1
"""s; longest time from one target to the next; the control period of a policy."""


class VelocityEstimate:
    """Velocity estimate: position difference through a first-order low-pass filter.

    The filter solves tau dv/dt = dq/dt - v exactly for positions that are linear between samples:

        v <- a v + (1 - a)/dt (q - q_before),   a = exp(-dt/tau)

    The static gain is 1. (The filter of the vendor's first driver has 0.99 and biases positions.)
    The factor (1 - a)/dt stays finite when delayed frames arrive together.

    Args:
        cutoff: cutoff frequency, Hz.
    """

    def __init__(self, cutoff: float = CUTOFF) -> None:
        self._tau = 1.0 / (2 * np.pi * cutoff)
        self._q: Array | None = None
        self._stamp: Array
        self._v: Array

    def update(self, q: Array, stamp: Array) -> Array:
        """Take positions, rad, measured at `stamp`, s; return velocities, rad/s.

        The velocity of a joint whose stamp did not advance stays unchanged.
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
    """Linear interpolation between targets, with a rate limit.

    Targets arrive at the rate of a policy, setpoints leave at the rate of the hand's frames.

    Args:
        q: present joint angles, rad.
        max_rate: largest rate of the setpoint, rad/s.
    """

    def __init__(self, q: Array, max_rate: Array) -> None:
        self._max_rate = max_rate
        self._setpoint, self._target = q.copy(), q.copy()
        self._rate = np.zeros_like(q)
        self._now = self._aimed = -np.inf

    @property
    def target(self) -> Array:
        """Return the newest target, (n,) rad."""
        return self._target.copy()

    def aim(self, target: Array, now: float, period: float) -> None:
        """Take a new target.

        Args:
            target: target, rad; NaN, or the same target again, changes nothing.
            now: present time, s.
            period: time for which the target is valid, s.
        """
        target = np.where(np.isfinite(target), target, self._target)
        if np.array_equal(target, self._target):
            return
        self.at(now)
        duration = min(max(now - self._aimed, period), LONGEST_MOVE)
        self._aimed, self._target = now, target
        self._rate = np.minimum(np.abs(target - self._setpoint) / duration, self._max_rate)

    def at(self, now: float) -> Array:
        """Return the setpoint at a time, s; a time before the last one does not move it."""
        reach = self._rate * min(max(now - self._now, 0.0), LONGEST_MOVE)
        self._setpoint = self._setpoint + np.clip(self._target - self._setpoint, -reach, reach)
        self._now = max(self._now, now)
        return self._setpoint.copy()

    def follow(self, q: Array, joints: BoolArray) -> None:
        """Set the setpoints of some joints to their positions, rad, so that no joint jumps."""
        self._setpoint = np.where(joints, q, self._setpoint)
        away = np.abs(self._target - self._setpoint)
        self._rate = np.where(joints, np.minimum(away / LONGEST_MOVE, self._max_rate), self._rate)

    def hold(self) -> None:
        """Make the present setpoint the target."""
        self._target = self._setpoint.copy()


def pd_torque(
    error: Array, velocity: Array, stiffness: Array, damping: Array, limit: Array
) -> Array:
    """Return the PD torque for an error, rad, and a velocity, rad/s, clipped to +- limit, N m."""
    return np.clip(stiffness * error - damping * velocity, -limit, limit)
