"""Returns and advantages of one episode."""

import numpy as np

from handlab_core.types import Array


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
