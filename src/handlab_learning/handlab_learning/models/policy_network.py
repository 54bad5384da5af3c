"""The networks of policy and value, in double precision: they are small, and robots act in it."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from handlab_core.environment.policy import GaussianPolicy
from handlab_core.system.validation import Count, Number
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array

LAST_LAYER_SCALE = 0.01
"""The first policy acts close to the middle of the range; mjrl's gaussian_mlp.py."""

CONSTANT = 1e-6
"""A column of data whose standard deviation is below it is taken for constant."""

Widths = Annotated[tuple[Annotated[Count, Field(le=4096)], ...], Field(max_length=8)]
"""Sizes of the hidden layers of a network, input first; small ones, as robots act with them."""

LogStd = Annotated[Number, Field(ge=-20, le=5)]
"""Logarithm of a standard deviation of an action; the range of actions is [-1, 1]."""


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

    mean = out_shift + out_scale * net((observation - shift) / scale)

    The four slots say in what units the network reads and speaks; they are no parameters, and
    until `set_units` they change nothing (mjrl/utils/fc_network.py).

    Args:
        spaces: sizes of observation and action.
        hidden: sizes of the hidden layers.
        log_std: initial log standard deviation of every action.
    """

    shift: Tensor
    scale: Tensor
    out_shift: Tensor
    out_scale: Tensor

    def __init__(self, spaces: Spaces, hidden: Sequence[int], log_std: float) -> None:
        super().__init__()
        self.mean = mlp((spaces.observation, *hidden, spaces.action), nn.Tanh)
        self.log_std = nn.Parameter(torch.full((spaces.action,), log_std, dtype=torch.float64))
        for name, size in (("", spaces.observation), ("out_", spaces.action)):
            self.register_buffer(f"{name}shift", torch.zeros(size, dtype=torch.float64))
            self.register_buffer(f"{name}scale", torch.ones(size, dtype=torch.float64))
        with torch.no_grad():
            for parameter in self.mean[-1].parameters():
                parameter.mul_(LAST_LAYER_SCALE)

    def set_units(self, observations: Array, actions: Array) -> None:
        """Read and speak in units of the means and spreads of some data.

        Args:
            observations: (B, O).
            actions: (B, A).
        """
        for name, data in (("", observations), ("out_", actions)):
            getattr(self, f"{name}shift").copy_(aligned(data.mean(axis=0)))
            getattr(self, f"{name}scale").copy_(aligned(spread(data)))

    def forward(self, observation: Tensor) -> Tensor:
        """Mean action, (B, A)."""
        mean: Tensor = self.mean((observation - self.shift) / self.scale)
        return self.out_shift + self.out_scale * mean

    def log_prob(self, observation: Tensor, action: Tensor) -> Tensor:
        """Log density of actions, (B,)."""
        z: Tensor = (action - self(observation)) / self.log_std.exp()
        constant: Tensor = self.log_std.sum() + 0.5 * action.shape[-1] * np.log(2 * np.pi)
        return -0.5 * z.square().sum(-1) - constant

    def to_numpy(self, version: int) -> GaussianPolicy:
        """The same policy without torch; the units it speaks in become part of the last layer."""
        layers = [layer for layer in self.mean if isinstance(layer, nn.Linear)]
        weights = [layer.weight.detach().numpy().T.copy() for layer in layers]
        biases = [layer.bias.detach().numpy().copy() for layer in layers]
        unit = self.out_scale.numpy()
        weights[-1], biases[-1] = weights[-1] * unit, self.out_shift.numpy() + biases[-1] * unit
        return GaussianPolicy(
            tuple(weights),
            tuple(biases),
            self.log_std.detach().numpy().copy(),
            self.shift.numpy().copy(),
            self.scale.numpy().copy(),
            version,
        )


def spread(data: Array) -> Array:
    """Standard deviations of the columns, (n,); 1 for a column that says nothing.

    mjrl adds 1e-8 in place of that, so that a number which demonstrations never vary is multiplied
    by 1e8 as soon as it does.
    """
    deviation: Array = data.std(axis=0)
    return np.where(deviation < CONSTANT, 1.0, deviation)


def part(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of a saved state whose names begin with `<name>.`, without that."""
    prefix = f"{name}."
    return {n.removeprefix(prefix): tensor for n, tensor in state.items() if n.startswith(prefix)}
