"""Hold still at the goal: the part of a policy that stops its motion.

A motion that is repeated by time alone goes on when the object has arrived. A policy with a hold
repeats its last action instead, while the error of the object is small.
"""

from dataclasses import dataclass

import numpy as np

from handlab_core.errors import BadRun
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array, BoolArray


@dataclass(frozen=True)
class Hold:
    """Where a policy holds still."""

    within: float = 0.0  # rad, error of the object below which it does; 0: nowhere
    error: int = 0  # element of an observation: angle of the object minus the goal [rad]

    @classmethod
    def of_task(cls, spaces: Spaces, within: float) -> "Hold":
        """Return the hold of a task; a task without an object has none."""
        return cls() if spaces.fingers is None else cls(within, spaces.fingers.error)

    def at(self, observation: Array) -> BoolArray:
        """Return whether the policy holds still at observations (..., O), (...)."""
        still: BoolArray = np.abs(observation[..., self.error]) < self.within
        return still

    @property
    def numbers(self) -> Array:
        """The two numbers of `read`, (2,)."""
        return np.array([self.within, self.error], dtype=np.float64)

    @classmethod
    def read(cls, numbers: Array, spaces: Spaces, name: str) -> "Hold":
        """Build a hold from its numbers; raise BadRun if they are impossible."""
        within, error = (float(number) for number in numbers)
        if within < 0 or error not in range(spaces.observation):
            raise BadRun(
                f"{name} holds {within:g} and element {error:g}; a distance is at least 0, and "
                f"there are elements 0 to {spaces.observation - 1}: train the policy again"
            )
        return cls(within, int(error))


NOWHERE = Hold()
"""A hold that never begins."""
