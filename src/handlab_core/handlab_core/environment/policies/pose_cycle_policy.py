"""Cycle of poses in numpy: a teacher's gait as a policy of engaged joints."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from handlab_core.demonstrations.scripted_teacher import ARRIVED, FLOOR, LEFT
from handlab_core.environment.noise import PINK, colored_noise
from handlab_core.environment.policies.policy import check_names, checked_tensors, in_double
from handlab_core.errors import BadRun
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array, BoolArray

POSES, DURATIONS, MOTION = "cycle_poses", "cycle_durations", "cycle_motion"
"""Names of the tensors that only this kind of policy has."""

LARGEST_CYCLE = 100
"""Largest number of poses; that of a gait's file."""


@dataclass
class _Memory:
    """State within one episode, N robots."""

    along: Array  # (N,) steps at full speed since the first pose
    there: BoolArray  # (N,) whether the object has arrived
    last: Array  # (N, A), the newest action


@dataclass(frozen=True)
class PoseCyclePolicy:
    """Poses that follow each other; the position in the cycle follows the error of the object.

    The hand goes on along the cycle while the angle is below the goal, and back while it is above.
    At the goal the last action is held. Actions change linearly from one pose to the next.
    """

    poses: Array  # (K, A) in [-1, 1]
    durations: Array  # (K,) steps at full speed from each pose to the next
    braking: float  # rad; error below which the speed decreases
    error: int  # element of an observation: angle of the object minus the goal [rad]
    version: int
    _memory: list[_Memory] = field(default_factory=list, compare=False, repr=False)

    def begin(self) -> "PoseCyclePolicy":
        """See `Policy.begin`; the cycle begins with its first pose."""
        return PoseCyclePolicy(self.poses, self.durations, self.braking, self.error, self.version)

    def act(self, observation: Array, noise: Array | None = None) -> Array:
        """See `Policy.act`; call it once in each step of an episode. There is no noise."""
        error = observation[:, self.error]
        if not self._memory:
            count = len(error)
            first = np.tile(self.poses[0], (count, 1))
            self._memory.append(_Memory(np.zeros(count), np.zeros(count, dtype=bool), first))
        memory, left = self._memory[0], np.abs(error)
        memory.there = np.where(memory.there, left < LEFT, left < ARRIVED)
        pace = np.clip(left / self.braking, FLOOR, 1.0)
        memory.along = memory.along - np.where(memory.there, 0.0, np.sign(error) * pace)
        knots, poses = self._knots
        along = np.mod(memory.along, knots[-1])
        action = np.stack([np.interp(along, knots, column) for column in poses.T], axis=1)
        memory.last = np.where(memory.there[:, None], memory.last, action)
        return memory.last

    @cached_property
    def _knots(self) -> tuple[Array, Array]:
        """Steps (K + 1,) and poses (K + 1, A) of the cycle; the last pose is the first one."""
        knots = np.concatenate(([0.0], np.cumsum(self.durations)))
        return knots, np.concatenate((self.poses, self.poses[:1]))

    def noise(self, rng: np.random.Generator, steps: int) -> Array:
        """See `Policy.noise`; this kind leaves it out."""
        return colored_noise(rng, steps, self.poses.shape[1], PINK)

    def tensors(self) -> dict[str, Array]:
        """See `Policy.tensors`."""
        motion = np.array([self.braking, self.error])
        named = {POSES: self.poses, DURATIONS: self.durations, MOTION: motion}
        return in_double(named)

    @classmethod
    def from_tensors(
        cls, named: Mapping[str, Array], version: int, spaces: Spaces, where: str = "the policy"
    ) -> "PoseCyclePolicy":
        """Build a policy from the arrays of `tensors`; see `policy_kinds.policy_from_tensors`."""
        check_names(named, {POSES, DURATIONS, MOTION}, "cycle of poses", where)
        count = len(named[POSES]) if named[POSES].ndim == 2 else 0
        if not 2 <= count <= LARGEST_CYCLE:
            raise BadRun(f"{POSES} of {where} needs 2 to {LARGEST_CYCLE} rows; it has {count}")
        shapes = {POSES: (count, spaces.action), DURATIONS: (count,), MOTION: (2,)}
        poses, durations, motion = checked_tensors(named, shapes, where).values()
        braking, error = (float(number) for number in motion)
        if np.abs(poses).max() > 1.0 or durations.min() <= 0.0 or braking <= 0.0:
            raise BadRun(
                f"{where} is no cycle of poses: poses are in [-1, 1], durations and braking "
                "distance are positive"
            )
        if error not in range(spaces.observation):
            raise BadRun(
                f"{MOTION} of {where} holds element {error:g}; there are elements 0 to "
                f"{spaces.observation - 1}"
            )
        return cls(poses, durations, braking, int(error), version)
