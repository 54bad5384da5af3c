"""Residual policy in numpy: a frozen base policy, and a bounded correction of its actions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from handlab_core.environment.policies.policy import Policy, checked_tensor
from handlab_core.environment.policies.squashed_policy import SquashedPolicy
from handlab_core.errors import BadRun
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array

BOUND = "residual_bound"
"""Name of the tensor that only this kind of policy has."""

BASE_PREFIX = "base."
"""Beginning of the names of the base policy's tensors."""


def with_correction(spaces: Spaces) -> Spaces:
    """Return the sizes of a correction: it observes the action of the base policy, too."""
    return Spaces(spaces.observation + spaces.action, spaces.action, spaces.steps)


def base_action(base: Policy, observation: Array) -> Array:
    """Return the actions (N, A) of a base policy without noise, clipped to [-1, 1]."""
    action: Array = np.clip(base.act(observation), -1.0, 1.0)
    return action


@dataclass(frozen=True)
class ResidualPolicy:
    """Actions of a base policy plus a bounded correction (Silver et al., arXiv:1812.06298).

    b      = clip(base(obs), -1, 1)
    action = b + bound * correction(obs, b)

    The correction is in [-1, 1] and carries the exploration noise; the base policy acts without.
    """

    base: Policy
    correction: SquashedPolicy  # observes (O + A)
    bound: float  # in units of half the commanded range, as actions are

    @property
    def version(self) -> int:
        """See `Policy.version`."""
        return self.correction.version

    def begin(self) -> "ResidualPolicy":
        """See `Policy.begin`; the base policy may have a memory."""
        return replace(self, base=self.base.begin())

    def act(self, observation: Array, noise: Array | None = None) -> Array:
        """See `Policy.act`."""
        base = base_action(self.base, observation)
        observed = np.concatenate((observation, base), axis=-1)
        return base + self.bound * self.correction.act(observed, noise)

    def noise(self, rng: np.random.Generator, steps: int) -> Array:
        """See `Policy.noise`."""
        return self.correction.noise(rng, steps)

    def tensors(self) -> dict[str, Array]:
        """See `Policy.tensors`; the base policy's are among them."""
        base = {BASE_PREFIX + name: array for name, array in self.base.tensors().items()}
        return base | self.correction.tensors() | {BOUND: np.array([self.bound])}

    @classmethod
    def from_tensors(
        cls,
        named: Mapping[str, Array],
        version: int,
        spaces: Spaces,
        base: Policy,
        where: str = "the policy",
    ) -> "ResidualPolicy":
        """Build a policy from the arrays of `tensors` without those of its base policy.

        See `policy_kinds.policy_from_tensors`.
        """
        rest = dict(named)
        bound = float(checked_tensor(rest.pop(BOUND), (1,), f"{BOUND} of {where}")[0])
        if not 0.0 < bound <= 1.0:
            raise BadRun(f"{BOUND} of {where} is {bound:g}; it is above 0 and at most 1")
        correction = SquashedPolicy.from_tensors(rest, version, with_correction(spaces), where)
        return cls(base, correction, bound)
