"""Proximal policy optimisation (Schulman et al., arXiv:1707.06347), for simulations.

    r(theta) = pi(a|s) / pi_old(a|s)
    maximise   mean of min(r A, clip(r, 1 - clip, 1 + clip) A)     by Adam, on minibatches

It needs more robot time than the natural gradient and less computing: many steps with cheap
gradients, from the episodes of hundreds of worlds. Advantages and value baseline are those of
`npg`. The learning rate follows the measured KL divergence of an epoch (rsl_rl/algorithms/ppo.py,
schedule "adaptive").
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from handlab_core.environment.episode import Episode
from handlab_core.system.validation import Count, Fraction, NotNegative, Positive, checked
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.algorithm import Demonstrations, Method, algorithm
from handlab_learning.algorithms.demonstrations import joined
from handlab_learning.algorithms.on_policy import OnPolicy, mean_kl
from handlab_learning.models import optimizer_state
from handlab_learning.models.policy_network import LogStd, Widths, aligned, part, prefixed
from handlab_learning.models.value_function import BaselineConfig

SLOWEST, FASTEST = 1e-5, 1e-2
"""Range of the learning rate; rsl_rl."""
FACTOR = 1.5
"""Change of the learning rate after an epoch; rsl_rl."""


@checked
class PpoConfig:
    """Settings; without a source: the best median among some variants on the valve."""

    episodes_per_iteration: Annotated[Count, Field(ge=2)] = 64
    """Episodes of an iteration; the command line sets the number of worlds."""
    hidden: Widths = (64, 64)
    """Widths of the hidden layers; as in `npg`."""
    log_std: LogStd = -0.5
    """Initial log standard deviation; as in `npg`."""
    min_log_std: LogStd = -3.0
    """Lower limit of log standard deviations; as in `npg`."""
    rate: Positive = 1e-3
    """Initial learning rate; rsl_rl."""
    kl: Positive = 0.02
    """KL divergence of an epoch that the learning rate aims at; 0.01 in rsl_rl."""
    clip: Positive = 0.2
    """Half the width of the interval of ratios; the paper."""
    epochs: Count = 8
    """Passes over the episodes of an iteration; 5 in rsl_rl, 10 in the paper."""
    batch: Count = 512
    """Steps of a minibatch."""
    entropy: NotNegative = 0.0
    """Weight of the entropy of the policy; 0 in the paper's continuous tasks."""
    max_gradient: Positive = 1.0
    """Largest norm of a gradient; rsl_rl."""
    gamma: Annotated[Fraction, Field(gt=0)] = 0.98
    lam: Fraction = 0.9
    baseline: BaselineConfig = field(
        default_factory=lambda: BaselineConfig(memory=1, epochs=8, batch=512)
    )


class Ppo(OnPolicy):
    """Proximal policy optimisation on whole episodes of the present policy."""

    config: PpoConfig

    def __init__(
        self, spaces: Spaces, config: PpoConfig, seed: int, _: Sequence[Episode] = ()
    ) -> None:
        super().__init__(spaces, config, seed)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=config.rate)
        self._order = torch.Generator().manual_seed(seed)

    @property
    def rate(self) -> float:
        """The present learning rate."""
        return float(self.optimiser.param_groups[0]["lr"])

    def update(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Improve the policy on the episodes, then fit the baseline."""
        observation, action = (aligned(array) for array in joined(episodes))
        advantage, returns = self.advantages(episodes)
        metrics = self.update_policy(observation, action, advantage)
        return metrics | self.fit_baseline(episodes, returns)

    def update_policy(
        self, observation: Tensor, action: Tensor, advantage: Tensor
    ) -> dict[str, float]:
        """Follow the clipped surrogate for some epochs.

        Args:
            observation: (B, O).
            action: (B, A), of the present policy.
            advantage: (B,), whitened.
        """
        first = before = self._distribution(observation)
        with torch.no_grad():
            old_log_prob = self.net.log_prob(observation, action)
        clipped: list[float] = []
        for _ in range(self.config.epochs):
            order = torch.randperm(len(observation), generator=self._order)
            for rows in torch.split(order, self.config.batch):
                ratio = (
                    self.net.log_prob(observation[rows], action[rows]) - old_log_prob[rows]
                ).exp()
                surrogate = clipped_surrogate(ratio, advantage[rows], self.config.clip)
                self._ascend(surrogate + self.config.entropy * self.net.log_std.sum())
                clipped.append(float(((ratio - 1).abs() > self.config.clip).double().mean()))
            after = self._distribution(observation)
            self._adapt(float(mean_kl(*before, *after)))
            before = after
        return {
            "kl": float(mean_kl(*first, *before)),
            "clipped": sum(clipped) / len(clipped),
            "rate": self.rate,
            "policy_std": float(self.net.log_std.detach().exp().mean()),
        }

    def state_dict(self) -> dict[str, Tensor]:
        """See `Algorithm.state_dict`."""
        state = super().state_dict() | {"order": self._order.get_state()}
        state |= prefixed("adam", optimizer_state.state_dict(self.optimiser))
        return state | {"rate": torch.tensor(self.rate, dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See `Algorithm.load_state_dict`."""
        super().load_state_dict(state)
        optimizer_state.load_state_dict(self.optimiser, part(state, "adam"))
        self._order.set_state(state["order"])
        self._set_rate(float(state["rate"]))

    def _distribution(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log standard deviations of the present policy's actions."""
        with torch.no_grad():
            return self.net(observation), self.net.log_std.clone()

    def _ascend(self, objective: Tensor) -> None:
        self.optimiser.zero_grad()
        torch.autograd.backward(-objective)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.config.max_gradient)
        self.optimiser.step()
        self.limit_noise()

    def _adapt(self, kl: float) -> None:
        """Change the learning rate towards one whose epochs have the KL divergence wanted."""
        if kl > 2 * self.config.kl:
            self._set_rate(max(SLOWEST, self.rate / FACTOR))
        elif kl < self.config.kl / 2:
            self._set_rate(min(FASTEST, self.rate * FACTOR))

    def _set_rate(self, rate: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = rate


def clipped_surrogate(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Return the mean of min(r A, clip(r, 1 - clip, 1 + clip) A); ratio and advantage (B,)."""
    bounded = ratio.clamp(1 - clip, 1 + clip)
    return torch.minimum(ratio * advantage, bounded * advantage).mean()


algorithm("ppo", Method(PpoConfig, Ppo, demonstrations=Demonstrations.NONE, simulation_only=True))
