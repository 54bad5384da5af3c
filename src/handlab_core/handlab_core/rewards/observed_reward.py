"""Rewards as functions of observations, for planners and learned models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handlab_core.rewards.reward import Term
from handlab_core.rewards.terms import Quantities
from handlab_core.types import Array


@dataclass(frozen=True)
class RewardOfObservation:
    """Reward of a step, computed from observations alone; see `tasks.sizes.ObservedReward`.

    Velocities are those of the change during the step. The reward of an episode is computed from
    the measured velocities at the end of a step; the two differ a little.
    """

    terms: Sequence[Term]
    joints: Sequence[int]  # elements of the joint positions, in units of the commanded range
    middle: Array  # (n,) rad
    half: Array  # (n,) rad; half width of the commanded range
    nominal: Array  # (n,) rad
    errors: Sequence[int]  # elements of the error: one of the object, or one for each joint
    period: float  # s; control period

    def __call__(self, observation: Array, change: Array) -> Array:
        """Return rewards (...) for observations (..., O) after a step and their change (..., O)."""
        joints, errors = list(self.joints), list(self.errors)
        error = observation[..., errors]
        alone = len(errors) == 1
        quantities = Quantities(
            error[..., 0] if alone else np.abs(error).mean(axis=-1),
            change[..., errors[0]] / self.period,  # terms of poses do not use it
            self.middle + self.half * observation[..., joints],
            self.half * change[..., joints] / self.period,
            self.nominal,
        )
        total = np.zeros(observation.shape[:-1])
        for term in self.terms:
            total += term.weight * term.function(quantities)
        return total
