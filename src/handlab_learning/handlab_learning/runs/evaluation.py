"""Evaluations: episodes of a policy without noise, and their figures."""

import logging
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np

from handlab_core.environment.episode import Episode, EpisodePlan
from handlab_core.environment.policies.policy import Policy
from handlab_core.errors import BadConfig, StationFault
from handlab_core.tasks.criteria import last_fifth
from handlab_learning.runs.sampler import Sampler
from handlab_learning.runs.soundness import defect

# First episode numbers of evaluations. The ranges are disjoint, so that no evaluation repeats an
# episode of the training, or one that decided the end of the run.
DURING_TRAINING = 1_000_000
AFTER_TRAINING = 2_000_000
ON_REQUEST = 3_000_000
BETWEEN_POLICIES = 4_000_000

INTERVAL = "Wilson, 95 %"
"""Method of the intervals of rates."""

Z = 1.959964
"""Two-sided 95 % quantile of the standard normal distribution."""

RATES = ("success_rate", "strict_success_rate")

log = logging.getLogger(__name__)


def summarize(episodes: Sequence[Episode]) -> dict[str, Any]:
    """Return success rates with their intervals, and means, over episodes.

    `mean_final_error` is in rad, over the last fifth of each episode. `success_rate_low` and
    `success_rate_high` are the ends of the rate's `INTERVAL`; the strict rate has the same keys.
    Episodes with values that cannot be are named in the log, and the means leave them out.

    Raises:
        BadConfig: there are no episodes.
        StationFault: all episodes have such values; names the first one.
    """
    if not episodes:
        raise BadConfig(
            "an evaluation needs at least 1 episode, not 0; choose --episodes 1 or more"
        )
    tail = [last_fifth(e.trajectory.errors).mean() for e in episodes]
    wins = {
        "success_rate": sum(e.success for e in episodes),
        "strict_success_rate": sum(e.outcome.strict_success for e in episodes),
    }
    figures = np.array([[e.episode_return for e in episodes], tail])  # (2, episodes)
    finite = np.isfinite(figures).all(axis=0)
    if not finite.all():
        reason = next(filter(None, map(defect, episodes)), "an episode has no return")
        if not finite.any():
            raise StationFault(f"evaluation: {reason}; check the sensors and the reward")
        log.warning("left out of the means of an evaluation: %s", reason)
    mean_return, mean_error = figures[:, finite].mean(axis=1)
    evaluation: dict[str, Any] = {}
    for name, count in wins.items():
        low, high = wilson_interval(count, len(episodes))
        evaluation |= {name: count / len(episodes), f"{name}_low": low, f"{name}_high": high}
    return evaluation | {
        "interval": INTERVAL,
        "episodes": len(episodes),
        "mean_return": float(mean_return),
        "mean_final_error": float(mean_error),
        "robot_s": float(sum(e.time.robot_s for e in episodes)),
    }


class Evaluator:
    """Runs evaluation episodes.

    Args:
        sampler: runs the episodes.
        seed: of the run.
        count: number of episodes of a whole evaluation.
    """

    def __init__(self, sampler: Sampler, seed: int, count: int) -> None:
        self._sampler, self._seed, self.count = sampler, seed, count

    def run(self, policy: Policy, first: int, spare: int | None = None) -> list[Episode]:
        """Run a policy without noise, at most until more episodes have failed than `spare`.

        An untrained policy fails at once; a whole evaluation of it would cost time for nothing.

        Args:
            policy: computes the actions.
            first: number of the first episode.
            spare: failures after which the rest is left out; None: all episodes are run.
        """
        episodes: list[Episode] = []
        batch = self.count if spare is None else spare + 1
        while len(episodes) < self.count:
            begin = first + len(episodes)
            numbers = range(begin, min(begin + batch, first + self.count))
            plan = EpisodePlan(self._seed, numbers, deterministic=True)
            episodes += self._sampler.sample(policy, plan)
            if spare is not None and failures(episodes) > spare:
                break
            batch *= 2
        return episodes

    def during_training(self, policy: Policy, iteration: int, rate: float) -> dict[str, Any]:
        """Evaluate a policy while it learns; the rest is left out once it is too bad.

        Args:
            policy: computes the actions.
            iteration: of the training.
            rate: success rate of a good evaluation.
        """
        first = DURING_TRAINING + iteration * self.count
        return summarize(self.run(policy, first, spare_failures(self.count, rate)))

    def is_good(self, evaluation: Mapping[str, Any], name: str, rate: float) -> bool:
        """Return whether a whole evaluation has at least a success rate; `name` is of RATES."""
        return bool(evaluation["episodes"] == self.count and evaluation[name] >= rate)


def spare_failures(count: int, rate: float) -> int:
    """Return the failures that `count` episodes may have at a success rate of at least `rate`."""
    return int(count * (1.0 - rate) + 1e-9)


def failures(episodes: Sequence[Episode]) -> int:
    """Return the number of episodes without success."""
    return sum(not e.success for e in episodes)


def wilson_interval(successes: float, episodes: int) -> tuple[float, float]:
    """Return the ends of the 95 % score interval of a binomial rate (Wilson, JASA 22, 1927).

    Args:
        successes: number of successful episodes.
        episodes: number of all episodes, at least 1.
    """
    rate, square = successes / episodes, Z * Z / episodes
    middle = (rate + square / 2) / (1 + square)
    half = Z / (1 + square) * sqrt(rate * (1 - rate) / episodes + square / (4 * episodes))
    low = 0.0 if successes <= 0 else max(middle - half, 0.0)
    high = 1.0 if successes >= episodes else min(middle + half, 1.0)
    return low, high


def rate_text(evaluation: Mapping[str, Any], name: str = "success_rate") -> str:
    """Return a rate as text, with its interval if known: `87% [70%, 95%]`."""
    rate, low, high = (evaluation.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if low is None or high is None:
        return f"{rate:.0%}"
    return f"{rate:.0%} [{low:.0%}, {high:.0%}]"
