"""Ensemble of layer-normalised critics, computed as one batch of matrix products.

One matrix product for all members costs less than one for each: networks of this size spend more
time in Python than in arithmetic.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class CriticEnsemble(nn.Module):
    """Ensemble of E critics with the same layers, in single precision.

    value = W_k relu(norm(... relu(norm(W_0 x + b_0)))) + b_k

    Layer normalisation limits the values of actions that nobody tried (Ball et al.,
    arXiv:2302.02948, section 4.2). It has no gain and offset of its own: the next layer has them.

    Args:
        members: number of networks, E.
        inputs: number of elements of an observation and an action.
        hidden: widths of the hidden layers.
    """

    def __init__(self, members: int, inputs: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ParameterList()
        for size_in, size_out in pairwise((inputs, *hidden, 1)):
            bound = size_in**-0.5  # that of torch's linear layers
            weight = torch.empty(members, size_in, size_out).uniform_(-bound, bound)
            self.layers.append(nn.Parameter(weight))
            self.layers.append(nn.Parameter(torch.zeros(members, 1, size_out)))

    def forward(self, x: Tensor, members: Tensor | None = None) -> Tensor:
        """Return the values of all members, (E, B).

        Args:
            x: (B, I); observations and actions.
            members: numbers of the members to evaluate; None: all.
        """
        layers = list(self.layers)
        if members is not None:
            layers = [layer[members] for layer in layers]
        h = x.expand(len(layers[0]), *x.shape)
        for weight, bias in zip(layers[:-2:2], layers[1:-2:2], strict=True):
            h = torch.baddbmm(bias, h, weight)
            h = functional.relu(functional.layer_norm(h, h.shape[-1:]))
        return torch.baddbmm(layers[-1], h, layers[-2]).squeeze(-1)
