"""The networks of policy and value, in double precision: they are small, and robots act in it."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from handlab_core.policy import GaussianPolicy
from handlab_core.types import Array

LAST_LAYER_SCALE = 0.01
"""The first policy acts close to the middle of the range; mjrl's gaussian_mlp.py."""


def aligned(array: Array) -> Tensor:
    """Copy an array to where torch would have put it.

    torch's matrix products give other last digits for memory that begins elsewhere within a cache
    line, and numpy's begins anywhere. Runs shall be the same to the last bit.
    """
    return torch.tensor(array)


def mlp(sizes: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers of the given sizes, input first, with an activation between them."""
    layers: list[nn.Module] = []
    for i, (size_in, size_out) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(size_in, size_out, dtype=torch.float64))
        if i < len(sizes) - 2:
            layers.append(activation())
    return nn.Sequential(*layers)


class PolicyNet(nn.Module):
    """A diagonal Gaussian whose mean is a tanh network of the observation.

    Args:
        observation_size: O.
        action_size: A.
        hidden: sizes of the hidden layers.
        log_std: initial log standard deviation of every action.
        scale: (O,) typical size of each observation; divides it. None: 1.
    """

    scale: Tensor

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        hidden: Sequence[int],
        log_std: float,
        scale: Array | None = None,
    ) -> None:
        super().__init__()
        self.mean = mlp((observation_size, *hidden, action_size), nn.Tanh)
        self.log_std = nn.Parameter(torch.full((action_size,), log_std, dtype=torch.float64))
        ones = np.ones(observation_size) if scale is None else scale
        self.register_buffer("scale", torch.as_tensor(ones, dtype=torch.float64))
        with torch.no_grad():
            for parameter in self.mean[-1].parameters():
                parameter.mul_(LAST_LAYER_SCALE)

    def forward(self, observation: Tensor) -> Tensor:
        """Mean action, (B, A)."""
        mean: Tensor = self.mean(observation / self.scale)
        return mean

    def log_prob(self, observation: Tensor, action: Tensor) -> Tensor:
        """Log density of actions, (B,)."""
        z: Tensor = (action - self(observation)) / self.log_std.exp()
        constant: Tensor = self.log_std.sum() + 0.5 * action.shape[-1] * np.log(2 * np.pi)
        return -0.5 * z.square().sum(-1) - constant

    def to_numpy(self, version: int) -> GaussianPolicy:
        """The same policy without torch."""
        layers = [layer for layer in self.mean if isinstance(layer, nn.Linear)]
        return GaussianPolicy(
            tuple(layer.weight.detach().numpy().T.copy() for layer in layers),
            tuple(layer.bias.detach().numpy().copy() for layer in layers),
            self.log_std.detach().numpy().copy(),
            np.zeros(len(self.scale)),
            self.scale.numpy().copy(),
            version,
        )
