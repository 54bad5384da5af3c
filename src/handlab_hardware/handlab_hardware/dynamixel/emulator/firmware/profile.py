"""Profiles: trajectories to a goal with step, rectangular or trapezoidal velocity.

Pure functions over arrays of servos, in position counts and counts/s. Source: e-manual, the
section on profiles (_includes/en/dxl/control_table_profile_velocity.md).
"""

import numpy as np

from handlab_core.types import Array, BoolArray

NONE, RECTANGULAR, TRIANGULAR, TRAPEZOIDAL = 0x00, 0x10, 0x20, 0x30
"""Profile types, bits of `moving_status`."""


def follow(
    position: Array, velocity: Array, goal: Array, top: Array, acceleration: Array, dt: float
) -> tuple[Array, Array]:
    """Advance position profiles by one step.

    A trajectory brakes in time and ends exactly at its goal. It passes the goal only if it was too
    fast.

    Args:
        position: position of the trajectory, counts, (n,).
        velocity: velocity of the trajectory, counts/s, (n,).
        goal: goal positions, counts, (n,).
        top: largest velocity, counts/s, (n,); 0: unlimited.
        acceleration: acceleration, counts/s2, (n,); 0: unlimited.
        dt: length of the step, s.

    Returns:
        Position and velocity of the trajectory after the step.
    """
    way = goal - position
    once = np.abs(way) / dt
    soft = acceleration > 0.0
    change = np.where(soft, acceleration * dt, 1.0)
    braking = change * (np.sqrt(0.25 + 2.0 * once / change) - 0.5)
    wanted = np.sign(way) * np.minimum(np.where(soft, np.minimum(braking, once), once), top)
    eased = velocity + np.minimum(np.maximum(wanted - velocity, -change), change)
    speed = np.where(soft, eased, wanted)
    moved = position + speed * dt
    close = (np.abs(goal - moved) <= change * dt) & (np.abs(speed) <= change)
    arrived = (top == 0.0) | (soft & close) | (~soft & (once <= top))
    return np.where(arrived, goal, moved), np.where(arrived, 0.0, speed)


def ramp(velocity: Array, goal: Array, acceleration: Array, dt: float) -> Array:
    """Advance velocity profiles by one step; acceleration 0 is unlimited."""
    change = np.where(acceleration > 0.0, acceleration * dt, np.inf)
    return velocity + np.minimum(np.maximum(goal - velocity, -change), change)


def timed(way: float, total: float, rise: float) -> tuple[float, float]:
    """Return velocity, counts/s, and acceleration, counts/s2, of a profile of given duration.

    Args:
        way: distance, counts.
        total: duration, s; 0: unlimited velocity.
        rise: duration of the acceleration, s, at most half of `total`.
    """
    if total <= 0.0:
        return 0.0, 0.0
    rise = min(rise, total / 2)
    top = abs(way) / (total - rise)
    return top, top / rise if rise > 0.0 else 0.0


def shape(way: float, top: float, acceleration: float) -> int:
    """Return the type of a profile that begins at rest."""
    if not top or not way:
        return NONE
    if not acceleration:
        return RECTANGULAR
    return TRIANGULAR if top * top > abs(way) * acceleration else TRAPEZOIDAL


def moving(position: Array, goal: Array, top: Array) -> BoolArray:
    """Return which profiles are under way."""
    under_way: BoolArray = (position != goal) & (top > 0.0)
    return under_way
