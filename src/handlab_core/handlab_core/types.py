"""The values that travel between sensor, policy and wire.

Every array has the robots of a station on its leading axis, N; one robot is N = 1.
Stamps are seconds since the station started, each a whole number of nanoseconds divided by 1e9,
so that they survive the way through a ROS message unchanged.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NS_PER_S = 1_000_000_000

SAME_TIME = 0.02
"""s. Stamps no further apart belong together: two drivers of one station, each at 100 Hz, are never
in step. Far below a control period, so that in lockstep only equal stamps are."""

Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class JointState:
    """One reading of one group of joints, in the group's joint order."""

    stamp: Array  # (N,) s
    q: Array  # (N, n) rad
    qd: Array  # (N, n) rad/s
    effort: Array  # (N, n) N m


@dataclass(frozen=True, slots=True)
class Command:
    """Position targets for one group of joints, and how hard each joint may push for them."""

    q: Array  # (N, n) rad
    effort: Array  # (N, n) N m, the largest; 0 releases a joint, inf is the joint's own limit


@dataclass(frozen=True, slots=True)
class Reading:
    """What a backend measures: the hand and the fixture that holds the object."""

    hand: JointState
    fixture: JointState


@dataclass(frozen=True, slots=True)
class ObjectEstimate:
    """Where the object is and how it turns."""

    stamp: Array  # (N,) s
    angle: Array  # (N,) rad, unwrapped
    velocity: Array  # (N,) rad/s


@dataclass(frozen=True, slots=True)
class Goal:
    """Where something shall be: `angle` at `stamp`, moving on with `velocity`.

    Of an object there is one angle, g = 1; of a hand's pose one for each joint.
    """

    episode: IntArray  # (N,) number of the episode in its run
    stamp: Array  # (N,) s
    angle: Array  # (N, g) rad
    velocity: Array  # (N, g) rad/s

    def at(self, stamp: Array) -> Array:
        """Goal angles at a time, (N, g) rad."""
        # Stamps are whole nanoseconds: so the goal's way does not depend on when it begins.
        elapsed = np.round((stamp - self.stamp) * NS_PER_S) / NS_PER_S
        return self.angle + self.velocity * elapsed[:, None]


@dataclass(frozen=True, slots=True)
class Reward:
    """The reward of one step."""

    total: Array  # (N,)
    terms: Array  # (N, number of terms), weighted
    error: Array  # (N,) rad, how far from the goal; what success is judged by
    success: BoolArray  # (N,) within the task's tolerance now


@dataclass(frozen=True, slots=True)
class Sample:
    """Hand and object at one stamp."""

    hand: JointState
    object: ObjectEstimate
