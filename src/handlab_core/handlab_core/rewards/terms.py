"""Reward terms: pure functions of arrays, batched over leading axes, non-negative.

The weight carries the sign. A new term is a function here and one weight in a task.
"""

from dataclasses import dataclass

import numpy as np

from handlab_core.types import Array

SLOW = 0.5
"""rad/s; joint speed below which `fast_joints` is zero; robel/dclaw/turn.py @ 5b0fd37."""


@dataclass(frozen=True, slots=True)
class Quantities:
    """Inputs of reward terms; leading axes are arbitrary, the same for all fields."""

    error: Array  # (...) rad; distance from the goal; see `handlab_core.rewards.goal`
    object_velocity: Array  # (...) rad/s
    q: Array  # (..., n) rad
    qd: Array  # (..., n) rad/s
    nominal: Array  # (n,) rad


def distance(x: Quantities) -> Array:
    """Return |error|, (...)."""
    return np.abs(x.error)


def near(x: Quantities, within: float) -> Array:
    """Return 1 where |error| < `within` [rad], else 0, (...)."""
    return (np.abs(x.error) < within).astype(np.float64)


def pose_deviation(x: Quantities) -> Array:
    """Return the Euclidean distance of the joints from the nominal pose, (...)."""
    return _norm(x.q - x.nominal)


def fast_joints(x: Quantities, slow: float = SLOW) -> Array:
    """Return the Euclidean norm of the joint velocities of at least `slow` [rad/s], (...)."""
    return _norm(x.qd * (np.abs(x.qd) >= slow))


def _norm(x: Array) -> Array:
    squares: Array = np.add.reduce(x * x, axis=-1)
    return np.sqrt(squares)
