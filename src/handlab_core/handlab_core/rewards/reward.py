"""Rewards: weighted, named terms. Success is a separate criterion, unknown to learners."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handlab_core.rewards.goal import Aim
from handlab_core.rewards.terms import Quantities
from handlab_core.types import Array, Goal, JointState, ObjectEstimate, Reward


@dataclass(frozen=True)
class Term:
    """One weighted term."""

    name: str
    weight: float
    function: Callable[[Quantities], Array]


@dataclass(frozen=True)
class RewardComputer:
    """Reward of a task: its terms, and the tolerance for success."""

    terms: tuple[Term, ...]
    aim: Aim
    nominal: Array  # (n,) rad
    tolerance: float  # rad

    def compute(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> Reward:
        """Return the reward of the state at `obj.stamp`."""
        error = self.aim.error(hand, obj, goal)
        quantities = Quantities(error, obj.velocity, hand.q, hand.qd, self.nominal)
        terms = np.array([term.weight * term.function(quantities) for term in self.terms]).T
        return Reward(np.add.reduce(terms, axis=-1), terms, error, np.abs(error) <= self.tolerance)
