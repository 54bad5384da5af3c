"""Actor of soft actor-critic: a squashed Gaussian whose spread depends on the observation."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.policies.squashed_policy import LOG_STD, SquashedPolicy
from handlab_core.tasks.sizes import Spaces
from handlab_learning.models.policy_network import mlp

LAST_LAYER_SCALE = 0.1
"""Factor of the last layer's initial weights: the first actions are spread around the middle of the
range."""


class SquashedActor(nn.Module):
    """Rectifier network for mean and log standard deviation, in single precision.

    Args:
        spaces: sizes of observation and action.
        hidden: widths of the hidden layers.
    """

    def __init__(self, spaces: Spaces, hidden: Sequence[int]) -> None:
        super().__init__()
        sizes = (spaces.observation, *hidden, 2 * spaces.action)
        self.net = mlp(sizes, nn.ReLU, torch.float32)
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.mul_(LAST_LAYER_SCALE)
            last.bias.zero_()

    def set_std(self, std: float) -> None:
        """Give the actions the same standard deviation before squashing in every state.

        The policy limits it to the range LOG_STD; 0 gives the lower end.
        """
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight[last.out_features // 2 :].zero_()
            last.bias[last.out_features // 2 :].fill_(np.log(max(std, np.exp(LOG_STD[0]))))

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation before squashing, (B, A) each."""
        mean, log_std = self.net(observation).chunk(2, -1)
        return mean, log_std.clamp(*LOG_STD)

    def mode(self, observation: Tensor) -> Tensor:
        """Return the actions without noise, (B, A)."""
        mean, _ = self(observation)
        return torch.tanh(mean)

    def sample(self, observation: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw actions (B, A), and return their log densities, (B,).

        The density of tanh(u) is that of u divided by 1 - tanh(u)^2 (Haarnoja et al.,
        arXiv:1812.05905, appendix C), of which the logarithm is 2 (log 2 - u - softplus(-2u)).
        """
        mean, log_std = self(observation)
        noise = torch.randn(mean.shape, generator=rng)
        u = mean + log_std.exp() * noise
        normal = -0.5 * noise.square() - log_std - 0.5 * np.log(2 * np.pi)
        squash = 2.0 * (np.log(2.0) - u - functional.softplus(-2.0 * u))
        return u.tanh(), (normal - squash).sum(-1)

    def to_numpy(self, noise_exponent: float, version: int) -> Policy:
        """Return the same policy without torch, in double precision."""
        return self.network_to_numpy(noise_exponent, version)

    def network_to_numpy(self, noise_exponent: float, version: int) -> SquashedPolicy:
        """Return the network with its squashed noise without torch, in double precision."""
        layers = [layer for layer in self.net if isinstance(layer, nn.Linear)]
        inputs = layers[0].in_features
        return SquashedPolicy(
            tuple(layer.weight.detach().numpy().T.astype(np.float64) for layer in layers),
            tuple(layer.bias.detach().numpy().astype(np.float64) for layer in layers),
            np.zeros(inputs),
            np.ones(inputs),
            noise_exponent,
            version,
        )
