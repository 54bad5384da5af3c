"""Squashed Gaussian policy in numpy: the actor of soft actor-critic on a robot."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from handlab_core.environment.noise import colored_noise
from handlab_core.environment.policies.policy import NetworkTensors
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array

LOG_STD = (-5.0, 2.0)
"""Range of the logarithm of the standard deviation before squashing; Haarnoja et al.,
arXiv:1812.05905, have -20 instead of -5, at which exploration has ended."""

EXPONENT = "noise_exponent"
"""Name of the tensor that only this kind of policy has."""


@dataclass(frozen=True)
class SquashedPolicy:
    """Rectifier network for mean and standard deviation, and a hyperbolic tangent.

    mean, log_std = W_k relu(... relu(W_0 ((obs - shift) / scale) + b_0)) + b_k
    action        = tanh(mean + exp(log_std) * noise)
    """

    weights: tuple[Array, ...]  # (in, out) each
    biases: tuple[Array, ...]  # (out,) each
    shift: Array  # (O,)
    scale: Array  # (O,)
    noise_exponent: float  # power spectrum of the noise over an episode: 1/f^exponent
    version: int

    def begin(self) -> "SquashedPolicy":
        """See `Policy.begin`; this kind has no memory."""
        return self

    def act(self, observation: Array, noise: Array | None = None) -> Array:
        """See `Policy.act`."""
        x = (observation - self.shift) / self.scale
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = np.maximum(x @ weight + bias, 0.0)
        mean, log_std = np.split(x @ self.weights[-1] + self.biases[-1], 2, axis=-1)
        if noise is None:
            return np.tanh(mean)
        return np.tanh(mean + np.exp(np.clip(log_std, *LOG_STD)) * noise)

    def noise(self, rng: np.random.Generator, steps: int) -> Array:
        """See `Policy.noise`."""
        return colored_noise(rng, steps, len(self.biases[-1]) // 2, self.noise_exponent)

    def tensors(self) -> dict[str, Array]:
        """See `Policy.tensors`."""
        network = NetworkTensors(self.weights, self.biases, self.shift, self.scale)
        return network.named() | {EXPONENT: np.array([self.noise_exponent])}

    @classmethod
    def from_tensors(
        cls, named: Mapping[str, Array], version: int, spaces: Spaces, where: str = "the policy"
    ) -> "SquashedPolicy":
        """Build a policy from the arrays of `tensors`; see `policy_kinds.policy_from_tensors`."""
        network, rest = NetworkTensors.read(
            named, spaces, 2 * spaces.action, {EXPONENT: (1,)}, where
        )
        exponent = float(rest[EXPONENT][0])
        return cls(network.weights, network.biases, network.shift, network.scale, exponent, version)
