"""Networks of policy and value, in double precision like the policies of robots."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.system.validation import Count, Number
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array

LAST_LAYER_SCALE = 0.01
"""Factor of the last layer's initial weights: the first policy acts close to the middle of the
range; gaussian_mlp.py in mjrl."""

CONSTANT = 1e-6
"""Standard deviation below which a column of data counts as constant."""

Widths = Annotated[tuple[Annotated[Count, Field(le=4096)], ...], Field(max_length=8)]
"""Widths of the hidden layers of a network, input first; limited, because robots run them."""

LogStd = Annotated[Number, Field(ge=-20, le=5)]
"""Logarithm of the standard deviation of an action; the range of actions is [-1, 1]."""


def aligned(array: Array) -> Tensor:
    """Copy an array to memory with torch's alignment.

    The last digits of torch's matrix products depend on the alignment of memory within a cache
    line, and numpy does not align. Runs must be reproducible to the last bit.
    """
    return torch.tensor(array)


def mlp(
    sizes: Sequence[int], activation: type[nn.Module], dtype: torch.dtype = torch.float64
) -> nn.Sequential:
    """Build linear layers of the given sizes, input first, with an activation between them."""
    layers: list[nn.Module] = []
    for i, (size_in, size_out) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(size_in, size_out, dtype=dtype))
        if i < len(sizes) - 2:
            layers.append(activation())
    return nn.Sequential(*layers)


class PolicyNet(nn.Module):
    """Diagonal Gaussian whose mean is a tanh network of the observation.

    mean = out_shift + out_scale * net((observation - shift) / scale)

    The four buffers normalise input and output. They are not trained, and have no effect before
    `set_units` (mjrl/utils/fc_network.py).

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
        """Normalise input and output by the means and spreads of data.

        Args:
            observations: (B, O).
            actions: (B, A).
        """
        set_units(self, observations, actions)

    def forward(self, observation: Tensor) -> Tensor:
        """Return the mean action, (B, A)."""
        mean: Tensor = self.mean((observation - self.shift) / self.scale)
        return self.out_shift + self.out_scale * mean

    def log_prob(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return the log density of actions, (B,)."""
        z: Tensor = (action - self(observation)) / self.log_std.exp()
        constant: Tensor = self.log_std.sum() + 0.5 * action.shape[-1] * np.log(2 * np.pi)
        return -0.5 * z.square().sum(-1) - constant

    def to_numpy(self, version: int) -> GaussianPolicy:
        """Return the same policy without torch; the last layer absorbs the output normalisation."""
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


def set_units(net: nn.Module, inputs: Array, outputs: Array) -> None:
    """Set the four buffers of a network to the means and spreads of data, (B, in) and (B, out)."""
    for name, data in (("", inputs), ("out_", outputs)):
        getattr(net, f"{name}shift").copy_(aligned(data.mean(axis=0)))
        getattr(net, f"{name}scale").copy_(aligned(spread(data)))


def spread(data: Array) -> Array:
    """Return the standard deviations of the columns, (n,); 1 for constant columns.

    mjrl adds 1e-8 instead, which multiplies a value that is constant in the demonstrations by 1e8
    as soon as it changes.
    """
    deviation: Array = data.std(axis=0)
    return np.where(deviation < CONSTANT, 1.0, deviation)


def prefixed(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a state under the names `<name>.<...>`, the inverse of `part`."""
    return {f"{name}.{n}": tensor for n, tensor in state.items()}


def part(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors of a saved state whose names begin with `<name>.`, without this prefix."""
    prefix = f"{name}."
    return {n.removeprefix(prefix): tensor for n, tensor in state.items() if n.startswith(prefix)}
