"""Returns and advantages of one episode."""

from collections.abc import Sequence

import numpy as np

from handlab_core.environment.episode import Episode
from handlab_core.types import Array
from handlab_learning.models.value_function import Baseline


def discounted(rewards: Array, last: float, gamma: float) -> Array:
    """Return discounted sums of rewards to the end, plus the discounted last value; (T,).

    Args:
        rewards: (T,).
        last: value of the state after the last step; 0 if the task ended there.
        gamma: discount factor.
    """
    result = np.empty_like(rewards)
    for t in reversed(range(len(rewards))):
        last = rewards[t] + gamma * last
        result[t] = last
    return result


def gae(rewards: Array, values: Array, last: float, gamma: float, lam: float) -> Array:
    """Return generalised advantage estimates (arXiv:1506.02438), (T,).

    Args:
        rewards: (T,).
        values: (T,) values of the states before the steps.
        last: value of the state after the last step; 0 if the task ended there.
        gamma: discount factor.
        lam: decay of the multi-step errors.
    """
    following = np.append(values[1:], last)
    return discounted(rewards + gamma * following - values, 0.0, gamma * lam)


def advantages(
    episodes: Sequence[Episode], baseline: Baseline, gamma: float, lam: float
) -> tuple[Array, list[Array]]:
    """Return whitened advantages of all steps, (B,), and the returns for a fit of the baseline.

    Args:
        episodes: episodes of the present policy.
        baseline: value function, which was fitted to earlier episodes only.
        gamma: discount factor.
        lam: decay of the multi-step errors.
    """
    found, returns = [], []
    for episode in episodes:
        values = baseline.values(episode)
        last = 0.0 if episode.outcome.terminated else float(values[-1])
        rewards = episode.trajectory.rewards
        found.append(gae(rewards, values[:-1], last, gamma, lam))
        returns.append(discounted(rewards, last, gamma))
    advantage = np.concatenate(found)
    whitened: Array = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
    return whitened, returns
