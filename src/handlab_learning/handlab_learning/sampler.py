"""Where episodes come from."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from handlab_core.env import Env
from handlab_core.episode import Episode
from handlab_core.policy import GaussianPolicy
from handlab_core.rollout import rollout


class Sampler(Protocol):
    """Runs episodes of a policy: a graph of nodes, or environments in this process."""

    def sample(
        self,
        policy: GaussianPolicy,
        seed: int,
        episodes: Sequence[int],
        deterministic: bool = False,
        on_episode: Callable[[Episode], None] | None = None,
    ) -> list[Episode]:
        """Run episodes, by number, and return them in that order.

        Args:
            policy: acts.
            seed: of the run.
            episodes: numbers of the episodes.
            deterministic: act with the mean.
            on_episode: called once with each episode, in that order.
        """
        ...


class LocalSampler:
    """Episodes from environments in this process.

    Args:
        make_env: builds an environment of so many robots.
        worlds: so many robots act side by side at most. With one, episodes follow each other as in
            the graph and are the same bit for bit.
    """

    def __init__(self, make_env: Callable[[int], Env], worlds: int) -> None:
        self._make_env, self._worlds = make_env, worlds
        self._envs: dict[int, Env] = {}

    def sample(
        self,
        policy: GaussianPolicy,
        seed: int,
        episodes: Sequence[int],
        deterministic: bool = False,
        on_episode: Callable[[Episode], None] | None = None,
    ) -> list[Episode]:
        """See `Sampler.sample`."""
        done: list[Episode] = []
        for first in range(0, len(episodes), self._worlds):
            numbers = np.asarray(episodes[first : first + self._worlds])
            env = self._envs.get(len(numbers))
            if env is None:
                env = self._envs[len(numbers)] = self._make_env(len(numbers))
            done += rollout(env, policy, seed, numbers, deterministic)
        if on_episode is not None:
            for episode in done:
                on_episode(episode)
        return done
