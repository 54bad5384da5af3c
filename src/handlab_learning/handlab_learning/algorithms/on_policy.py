"""Actor and value baseline of algorithms that learn from episodes of the present policy alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from handlab_core.environment.episode import Episode
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array
from handlab_learning.algorithms.algorithm import Algorithm
from handlab_learning.algorithms.returns import discounted, gae
from handlab_learning.models.policy_network import PolicyNet, aligned, part, prefixed
from handlab_learning.models.value_function import Baseline


class OnPolicy(Algorithm):
    """A Gaussian policy, and a baseline that is fitted after each improvement of the policy.

    So the advantages of an episode never depend on a fit to it.

    Args:
        spaces: sizes of the task.
        config: settings; those that are used here have the same names in each algorithm.
        seed: of the initial parameters.
    """

    def __init__(self, spaces: Spaces, config: Any, seed: int) -> None:
        torch.set_num_threads(1)  # the networks are too small for more to help
        torch.manual_seed(seed)
        self.config = config
        self.net = PolicyNet(spaces, config.hidden, config.log_std)
        self.baseline = Baseline(spaces, config.baseline, seed)
        self.version = 0

    def policy(self) -> GaussianPolicy:
        """Return the present policy."""
        return self.net.to_numpy(self.version)

    def state_dict(self) -> dict[str, Tensor]:
        """See `Algorithm.state_dict`."""
        state = prefixed("policy", self.net.state_dict())
        state |= prefixed("baseline", self.baseline.state_dict())
        return state | {"version": torch.tensor(self.version)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See `Algorithm.load_state_dict`."""
        self.net.load_state_dict(part(state, "policy"))
        self.baseline.load_state_dict(part(state, "baseline"))
        self.version = int(state["version"])

    def advantages(self, episodes: Sequence[Episode]) -> tuple[Tensor, list[Array]]:
        """Return whitened advantages of all steps, (B,), and returns for the fit of the baseline.

        Args:
            episodes: episodes of the present policy.
        """
        found, returns = [], []
        for episode in episodes:
            values = self.baseline.values(episode)
            last = 0.0 if episode.outcome.terminated else float(values[-1])
            rewards, gamma = episode.trajectory.rewards, self.config.gamma
            found.append(gae(rewards, values[:-1], last, gamma, self.config.lam))
            returns.append(discounted(rewards, last, gamma))
        advantage = np.concatenate(found)
        whitened = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
        return aligned(whitened), returns

    def fit_baseline(self, episodes: Sequence[Episode], returns: list[Array]) -> dict[str, float]:
        """Fit the baseline; the policy has a new version from now on. Return metrics."""
        self.version += 1
        return self.baseline.fit(episodes, returns)

    def limit_noise(self) -> None:
        """Keep the log standard deviations above their lower limit."""
        with torch.no_grad():
            self.net.log_std.clamp_(min=self.config.min_log_std)


def mean_kl(old_mean: Tensor, old_log_std: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return the mean KL(old || new) of diagonal Gaussians; means (B, A), log_stds (A,)."""
    variance = (2 * log_std).exp()
    quadratic = (old_mean - mean).square() + (2 * old_log_std).exp()
    return (log_std - old_log_std + quadratic / (2 * variance) - 0.5).sum(-1).mean()
