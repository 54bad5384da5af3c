"""Ensemble of networks that predict the next observation, in single precision."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from handlab_core.environment.policies.planning_policy import DynamicsEnsemble
from handlab_core.types import Array
from handlab_learning.models.policy_network import set_units


class DynamicsNetwork(nn.Module):
    """E networks side by side, with rectifiers; see `DynamicsEnsemble`.

    Args:
        members: number of networks, E.
        sizes: sizes of the layers, input first.
    """

    shift: Tensor
    scale: Tensor
    out_shift: Tensor
    out_scale: Tensor

    def __init__(self, members: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for size_in, size_out in pairwise(sizes):
            bound = size_in**-0.5  # as torch's linear layers
            self.weights.append(_uniform((members, size_in, size_out), bound))
            self.biases.append(_uniform((members, 1, size_out), bound))
        for name, size in (("", sizes[0]), ("out_", sizes[-1])):
            self.register_buffer(f"{name}shift", torch.zeros(size))
            self.register_buffer(f"{name}scale", torch.ones(size))

    def set_units(self, inputs: Array, changes: Array) -> None:
        """Normalise input and output by the means and spreads of data (B, in) and (B, out)."""
        set_units(self, inputs, changes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return normalised changes (E, B, out) for inputs (E, B, in)."""
        x = (inputs - self.shift) / self.scale
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < last:
                x = functional.relu(x)
        return x

    def error(self, inputs: Tensor, changes: Tensor) -> Tensor:
        """Return the mean squared error of normalised changes, (E,)."""
        target = (changes - self.out_shift) / self.out_scale
        error: Tensor = (self(inputs) - target).square().mean((1, 2))
        return error

    def to_numpy(self) -> DynamicsEnsemble:
        """Return the same ensemble without torch."""
        return DynamicsEnsemble(
            tuple(weight.detach().numpy().copy() for weight in self.weights),
            tuple(bias.detach().numpy()[:, 0].copy() for bias in self.biases),
            *(
                np.array(getattr(self, name).numpy())
                for name in ("shift", "scale", "out_shift", "out_scale")
            ),
        )


def _uniform(shape: Sequence[int], bound: float) -> nn.Parameter:
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))
