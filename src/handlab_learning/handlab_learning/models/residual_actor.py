"""Actor that corrects a frozen base policy by a bounded amount."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.policies.residual_policy import ResidualPolicy, with_correction
from handlab_core.tasks.sizes import Spaces
from handlab_learning.models.squashed_actor import SquashedActor


class ResidualActor(SquashedActor):
    """Squashed Gaussian correction; observations contain the base policy's action at their end.

    The last layer begins at zero, so that the first mean action is the base policy's (Silver et
    al., arXiv:1812.06298, section IV).

    Args:
        spaces: sizes of the task.
        hidden: widths of the hidden layers.
        base: the frozen policy.
        bound: largest correction of an action.
        std: first standard deviation of the correction before squashing.
    """

    def __init__(
        self, spaces: Spaces, hidden: Sequence[int], base: Policy, bound: float, std: float
    ) -> None:
        super().__init__(with_correction(spaces), hidden)
        self._base, self._bound, self._size = base, bound, spaces.action
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.zero_()
        self.set_std(std)

    def _corrected(self, observation: Tensor, correction: Tensor) -> Tensor:
        base = observation[..., -self._size :]
        return (base + self._bound * correction).clamp(-1.0, 1.0)

    def mode(self, observation: Tensor) -> Tensor:
        """See `SquashedActor.mode`."""
        return self._corrected(observation, super().mode(observation))

    def sample(self, observation: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw actions (B, A), and return the log densities of the corrections, (B,).

        The density of a correction differs from that of the action by the constant factor
        bound^A.
        """
        correction, log_prob = super().sample(observation, rng)
        return self._corrected(observation, correction), log_prob

    def to_numpy(self, noise_exponent: float, version: int) -> Policy:
        """See `SquashedActor.to_numpy`."""
        correction = self.network_to_numpy(noise_exponent, version)
        return ResidualPolicy(self._base, correction, self._bound)
