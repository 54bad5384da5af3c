"""Random periodic motions in numpy: the first episodes of a robot that has not learned anything.

A hand that repeats a motion moves an object further than one that moves at random: fingers push,
let go, and push again. Alike fingers make the same motion one after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from handlab_core.environment.hold import NOWHERE, Hold
from handlab_core.environment.noise import colored_noise
from handlab_core.environment.policies.policy import check_names, checked_tensors, in_double
from handlab_core.errors import BadRun
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array, IntArray

JOINT = "motion_joint"
"""Name of a tensor that only this kind of policy has."""

SMOOTH = 2.0
"""Exponent of the noise that a period consists of."""

LATEST = 0.5
"""Largest delay from one finger to the next, in periods; either direction."""


@dataclass(frozen=True)
class RandomMotion:
    """Acts with its noise alone, which repeats itself; without noise, in the middle of the range.

    The noise of an episode has a period of random length. Joints with the same number make the same
    motion, delayed from one finger to the next by the same random part of the period.
    """

    joint: IntArray  # (A,), joints of alike fingers that move alike share a number, from 0
    finger: IntArray  # (A,), place of the joint's finger among the alike ones
    std: float  # standard deviation of the actions
    shortest: int  # steps; shortest period
    longest: int  # steps; longest period
    version: int
    hold: Hold = NOWHERE
    _last: list[Array] = field(default_factory=list, compare=False, repr=False)
    """Newest action (N, A) of this episode."""

    @classmethod
    def of_task(
        cls, spaces: Spaces, std: float, periods: tuple[int, int], version: int, hold: float = 0.0
    ) -> "RandomMotion":
        """Build the motions of a task; without alike fingers each joint moves on its own.

        Args:
            spaces: of the task.
            std: standard deviation of the actions.
            periods: steps; shortest and longest period.
            version: version of the policy.
            hold: rad; see `Hold`.
        """
        fingers = spaces.fingers
        joint = np.arange(spaces.action) if fingers is None else np.array(fingers.joint)
        finger = np.zeros_like(joint) if fingers is None else np.array(fingers.finger)
        return cls(joint, finger, std, *periods, version, Hold.of_task(spaces, hold))

    def begin(self) -> "RandomMotion":
        """See `Policy.begin`."""
        return RandomMotion(
            self.joint, self.finger, self.std, self.shortest, self.longest, self.version, self.hold
        )

    def act(self, observation: Array, noise: Array | None = None) -> Array:
        """See `Policy.act`."""
        if noise is None:
            return np.zeros((len(observation), len(self.joint)))
        action: Array = self.actions(noise)
        if self._last:
            action = np.where(self.hold.at(observation)[:, None], self._last[0], action)
        self._last[:] = [action]
        return action

    def actions(self, noise: Array) -> Array:
        """Return the actions of the noise of an episode, (..., A), without a hold."""
        clipped: Array = np.clip(self.std * noise, -1.0, 1.0)
        return clipped

    def noise(self, rng: np.random.Generator, steps: int) -> Array:
        """See `Policy.noise`."""
        period = int(rng.integers(self.shortest, self.longest + 1))
        delay = rng.uniform(-LATEST, LATEST)
        pattern = colored_noise(rng, period, int(self.joint.max()) + 1, SMOOTH)
        shifts = np.rint(delay * period * self.finger).astype(np.int64)
        motion: Array = pattern[(np.arange(steps)[:, None] + shifts) % period, self.joint]
        return motion

    def tensors(self) -> dict[str, Array]:
        """See `Policy.tensors`."""
        form = np.array([self.std, self.shortest, self.longest])
        named = {JOINT: self.joint, "motion_finger": self.finger, "motion_form": form}
        named["motion_hold"] = self.hold.numbers
        return in_double(named)

    @classmethod
    def from_tensors(
        cls, named: Mapping[str, Array], version: int, spaces: Spaces, where: str = "the policy"
    ) -> "RandomMotion":
        """Build a policy from the arrays of `tensors`; see `policy_kinds.policy_from_tensors`."""
        size = (spaces.action,)
        shapes = {JOINT: size, "motion_finger": size, "motion_form": (3,), "motion_hold": (2,)}
        check_names(named, shapes.keys(), "motion", where)
        joint, finger, form, numbers = checked_tensors(named, shapes, where).values()
        for name, array in ((JOINT, joint), ("motion_finger", finger)):
            if not np.isin(array, range(spaces.action)).all():
                raise BadRun(
                    f"{name} of {where} must hold numbers from 0 to {spaces.action - 1}: train the "
                    "policy again"
                )
        std, shortest, longest = (float(number) for number in form)
        if std < 0 or not 2 <= shortest <= longest or shortest % 1 or longest % 1:
            raise BadRun(
                f"motion_form of {where} holds {std:g}, {shortest:g} and {longest:g}; a deviation "
                "is at least 0, and periods are whole numbers of at least 2 steps: train the "
                "policy again"
            )
        whole = joint.astype(np.int64), finger.astype(np.int64)
        hold = Hold.read(numbers, spaces, f"motion_hold of {where}")
        return cls(*whole, std, int(shortest), int(longest), version, hold)
