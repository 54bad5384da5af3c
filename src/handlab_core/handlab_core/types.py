"""Values that travel between sensors, policy and motors.

Every array has the robots of a station on its leading axis, N; one robot is N = 1.
Stamps are seconds since the station started, each a whole number of nanoseconds divided by 1e9,
so that they survive the way through a ROS message unchanged.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NS_PER_S = 1_000_000_000

SAME_TIME = 0.02
"""s; largest difference of two stamps that belong together. Two drivers of one station, each at
100 Hz, are never in step. It is far below a control period: in lockstep only equal stamps match."""

Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class JointState:
    """One reading of one group of joints, in the joint order of the group."""

    stamp: Array  # (N,) s
    q: Array  # (N, n) rad
    qd: Array  # (N, n) rad/s
    effort: Array  # (N, n) N m


@dataclass(frozen=True, slots=True)
class Command:
    """Position targets and effort limits of one group of joints."""

    q: Array  # (N, n) rad
    effort: Array  # (N, n) N m; effort limit, 0 releases a joint, inf is the joint's own limit


@dataclass(frozen=True, slots=True)
class Reading:
    """Measurements of a backend: the hand, and the fixture that holds the object."""

    hand: JointState
    fixture: JointState


@dataclass(frozen=True, slots=True)
class ObjectEstimate:
    """Estimated angle and velocity of the object."""

    stamp: Array  # (N,) s
    angle: Array  # (N,) rad, unwrapped
    velocity: Array  # (N,) rad/s


@dataclass(frozen=True, slots=True)
class Goal:
    """Goal of an episode: `angle` at `stamp`, from where it moves with `velocity`.

    A goal of the object has one angle, g = 1; a goal pose has one angle for each joint.
    """

    episode: IntArray  # (N,) number of the episode in its run
    stamp: Array  # (N,) s
    angle: Array  # (N, g) rad
    velocity: Array  # (N, g) rad/s

    def at(self, stamp: Array) -> Array:
        """Return the goal angles at a time [s], (N, g) rad."""
        # Stamps are whole nanoseconds: rounding makes the result independent of the start time.
        elapsed = np.rint((stamp - self.stamp) * NS_PER_S) / NS_PER_S
        return self.angle + self.velocity * elapsed[:, None]


@dataclass(frozen=True, slots=True)
class Reward:
    """The reward of one step."""

    total: Array  # (N,)
    terms: Array  # (N, number of terms), weighted
    error: Array  # (N,) rad; distance from the goal, which decides success
    success: BoolArray  # (N,) whether the error is within the task's tolerance


@dataclass(frozen=True, slots=True)
class Sample:
    """State of hand and object at one stamp."""

    hand: JointState
    object: ObjectEstimate
