"""Truncated natural policy gradient (Kakade 2001; Rajeswaran et al., arXiv:1703.02660).

    g     = mean of grad log pi(a|s) * A(s, a)
    F v   = grad (grad KL(pi_old || pi) . v) + damping * v     Fisher-vector product
    x     = F^-1 g by conjugate gradient, ended after a few steps (hence "truncated")
    theta = theta + sqrt(2 * kl / (g . x)) * x

Advantages are generalised advantage estimates with a value baseline, which is fitted after the
policy step (mjrl/algos/npg_cg.py); see `OnPolicy`.
"""

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from handlab_core.environment.episode import Episode
from handlab_core.system.validation import Count, Fraction, NotNegative, Positive, checked
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.algorithm import Demonstrations, Method, algorithm
from handlab_learning.algorithms.demonstrations import joined
from handlab_learning.algorithms.on_policy import OnPolicy, mean_kl
from handlab_learning.models.policy_network import LogStd, Widths, aligned
from handlab_learning.models.value_function import BaselineConfig

Augmentation = Callable[[Tensor], Tensor]
"""Function of whitened advantages, (B,), whose gradient is added to that of the surrogate."""


@checked
class NpgConfig:
    """Settings; without a source: the best median among a dozen variants on the valve."""

    episodes_per_iteration: Annotated[Count, Field(ge=2)] = 8
    hidden: Widths = (64, 64)
    """Widths of the hidden layers; default of mjrl."""
    log_std: LogStd = -0.5
    """Initial log standard deviation; configurations shipped with mjrl."""
    min_log_std: LogStd = -3.0
    """Lower limit of log standard deviations; mjrl/policies/gaussian_mlp.py."""
    kl: Positive = 0.05
    """KL divergence of a step; mjrl's normalized_step_size, 0.1, is twice the KL divergence."""
    max_kl_ratio: Positive = 2.0
    """Largest measured KL as a multiple of `kl`; larger steps are reverted, as in rllab's TNPG."""
    gamma: Annotated[Fraction, Field(gt=0)] = 0.98
    lam: Fraction = 0.9
    cg_steps: Count = 10
    cg_tolerance: NotNegative = 1e-10
    damping: NotNegative = 1e-4
    fisher_every: Count = 1
    """Stride; the Fisher matrix uses every n-th step; inverse of `hvp_sample_frac` in mjrl, 1
    there."""
    baseline: BaselineConfig = field(default_factory=BaselineConfig)


class Npg(OnPolicy):
    """Natural policy gradient on whole episodes of the present policy."""

    config: NpgConfig

    def __init__(
        self, spaces: Spaces, config: NpgConfig, seed: int, _: Sequence[Episode] = ()
    ) -> None:
        super().__init__(spaces, config, seed)

    def update(
        self, episodes: Sequence[Episode], augmentation: Augmentation | None = None
    ) -> dict[str, float]:
        """Make one step of the natural gradient, then fit the baseline."""
        observation, action = (aligned(array) for array in joined(episodes))
        advantage, returns = self.advantages(episodes)
        metrics = self.update_policy(observation, action, advantage, augmentation)
        return metrics | self.fit_baseline(episodes, returns)

    def watch(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Fit the baseline only; the policy keeps its parameters under a new version."""
        _, returns = self.advantages(episodes)
        return self.fit_baseline(episodes, returns)

    def update_policy(
        self,
        observation: Tensor,
        action: Tensor,
        advantage: Tensor,
        augmentation: Augmentation | None = None,
    ) -> dict[str, float]:
        """Follow the natural gradient of the surrogate for one normalised step.

        Args:
            observation: (B, O).
            action: (B, A), of the present policy.
            advantage: (B,).
            augmentation: additional objective; the Fisher matrix uses these samples only.
        """
        with torch.no_grad():
            old_mean, old_log_std = self.net(observation), self.net.log_std.clone()
            old_log_prob = self.net.log_prob(observation, action)

        def surrogate() -> Tensor:
            ratio = (self.net.log_prob(observation, action) - old_log_prob).exp()
            return (ratio * advantage).mean()

        def kl(every: int = 1) -> Tensor:
            new = self.net(observation[::every]), self.net.log_std
            return mean_kl(old_mean[::every], old_log_std, *new)

        before = surrogate()
        target = before if augmentation is None else before + augmentation(advantage)
        gradient = self._flat_gradient(target)
        direction = conjugate_gradient(
            lambda v: self._fisher_vector(kl(self.config.fisher_every), v),
            gradient,
            self.config.cg_steps,
            self.config.cg_tolerance,
        )
        slope = float(gradient @ direction)
        step = np.sqrt(2 * self.config.kl / (slope + 1e-20))
        theta = torch.nn.utils.parameters_to_vector(self.net.parameters()).detach()
        self._set(theta + step * direction)
        with torch.no_grad():
            measured, gain = float(kl()), float(surrogate() - before)
        accepted = np.isfinite(measured) and measured <= self.config.kl * self.config.max_kl_ratio
        if not accepted:
            self._set(theta)
        return {
            "kl": measured,
            "surrogate_gain": gain,
            "step_accepted": float(accepted),
            "policy_std": float(self.net.log_std.detach().exp().mean()),
        }

    def _flat_gradient(self, scalar: Tensor, create_graph: bool = False) -> Tensor:
        parts = torch.autograd.grad(scalar, list(self.net.parameters()), create_graph=create_graph)
        return torch.cat([part.reshape(-1) for part in parts])

    def _fisher_vector(self, divergence: Tensor, vector: Tensor) -> Tensor:
        gradient = self._flat_gradient(divergence, create_graph=True)
        return self._flat_gradient(gradient @ vector) + self.config.damping * vector

    def _set(self, theta: Tensor) -> None:
        torch.nn.utils.vector_to_parameters(theta, self.net.parameters())
        self.limit_noise()


def conjugate_gradient(
    product: Callable[[Tensor], Tensor], target: Tensor, steps: int, tolerance: float
) -> Tensor:
    """Solve `product(x) = target` for a symmetric positive definite product, from x = 0.

    Args:
        product: matrix-vector product.
        target: right-hand side.
        steps: maximum number of steps.
        tolerance: threshold of the squared norm of the residual.
    """
    x, residual = torch.zeros_like(target), target.clone()
    direction, size = residual.clone(), residual @ residual
    for _ in range(steps):
        image = product(direction)
        alpha = size / (direction @ image)
        x = x + alpha * direction
        residual = residual - alpha * image
        new_size = residual @ residual
        if new_size < tolerance:
            break
        direction = residual + (new_size / size) * direction
        size = new_size
    return x


algorithm("npg", Method(NpgConfig, Npg, demonstrations=Demonstrations.NONE))
