"""Interventions: a person or, in simulation, a script acts in place of the policy."""

from dataclasses import dataclass
from typing import Protocol

from handlab_core.environment.station import ResetResult
from handlab_core.types import Array, BoolArray, Goal, JointState, ObjectEstimate

NO_INTERVENER, TEACHER, PERSON = "none", "teacher", "person"
INTERVENERS = (NO_INTERVENER, TEACHER, PERSON)
"""Names of those who may act in place of the policy."""


@dataclass(frozen=True, slots=True)
class Intervention:
    """Actions of one step in place of those of the policy."""

    taken: BoolArray  # (N,) whether the intervener acts on a robot
    action: Array  # (N, A) in [-1, 1]; rows of the other robots do not matter
    limp: bool = False
    """Release all hands for the step; the actions then follow from their motion. With `taken` of
    all robots only."""


class Intervener(Protocol):
    """Watches N episodes, and acts in them when it decides to."""

    def begin(self, start: ResetResult, seed: int) -> None:
        """Begin N episodes.

        Args:
            start: state after the reset.
            seed: seed of the run.
        """
        ...

    def act(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> Intervention:
        """Return the actions of the next step; called once in each control period."""
        ...
