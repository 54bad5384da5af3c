"""The trajectory from where a servo is to its goal: step, rectangle or trapezoid of velocity.

Pure functions over arrays of servos, in position counts and counts/s; see the manual's section
"What is the profile" (_includes/en/dxl/control_table_profile_velocity.md).
"""

import numpy as np

from handlab_core.types import Array, BoolArray

NONE, RECTANGULAR, TRIANGULAR, TRAPEZOIDAL = 0x00, 0x10, 0x20, 0x30
"""Profile types as in `moving_status`."""


def follow(
    position: Array, velocity: Array, goal: Array, top: Array, acceleration: Array, dt: float
) -> tuple[Array, Array]:
    """Take one step of position profiles.

    Args:
        position: of the trajectory, counts, (n,).
        velocity: of the trajectory, counts/s.
        goal: counts.
        top: largest velocity, counts/s; 0: at once.
        acceleration: counts/s2; 0: at once.
        dt: s.

    Returns:
        Position and velocity of the trajectory one step later. It brakes in time, does not go
        beyond its goal unless it came too fast, and ends there exactly.
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
    """Take one step of velocity profiles; acceleration 0: at once."""
    change = np.where(acceleration > 0.0, acceleration * dt, np.inf)
    return velocity + np.minimum(np.maximum(goal - velocity, -change), change)


def timed(way: float, total: float, rise: float) -> tuple[float, float]:
    """Velocity and acceleration of a profile that is over after a time.

    Args:
        way: counts.
        total: s.
        rise: s, of the acceleration; half of the total at most.
    """
    if total <= 0.0:
        return 0.0, 0.0
    rise = min(rise, total / 2)
    top = abs(way) / (total - rise)
    return top, top / rise if rise > 0.0 else 0.0


def shape(way: float, top: float, acceleration: float) -> int:
    """Type of a profile that begins at rest."""
    if not top or not way:
        return NONE
    if not acceleration:
        return RECTANGULAR
    return TRIANGULAR if top * top > abs(way) * acceleration else TRAPEZOIDAL


def moving(position: Array, goal: Array, top: Array) -> BoolArray:
    """Which profiles are under way."""
    under_way: BoolArray = (position != goal) & (top > 0.0)
    return under_way
