"""Samplers: sources of episodes."""

from collections.abc import Callable, Iterator
from typing import Protocol

from handlab_core.environment.env import Env
from handlab_core.environment.episode import Episode, EpisodePlan
from handlab_core.environment.intervention import Intervener
from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.rollout import rollout


class Sampler(Protocol):
    """Runs episodes of a policy: in a graph of nodes, or in environments of this process."""

    def sample(self, policy: Policy, plan: EpisodePlan) -> Iterator[Episode]:
        """Run the episodes of a plan; return each as soon as it and all before it have ended.

        Where other processes run the episodes, the first begins at once, before the caller asks for
        it. Closing the iterator ends the rest.

        Args:
            policy: computes the actions.
            plan: the episodes to run.
        """
        ...


class LocalSampler:
    """Runs episodes in environments of this process.

    Args:
        make_env: builds an environment of a given number of robots.
        num_envs: maximum number of robots that act side by side. With one, episodes follow each
            other as in the graph and are the same bit for bit.
    """

    def __init__(self, make_env: Callable[[int], Env], num_envs: int) -> None:
        self._make_env, self._num_envs = make_env, num_envs
        self.intervener: Intervener | None = None
        """Acts in place of the policy in episodes with noise; an evaluation is the policy's own."""
        self._envs: dict[int, Env] = {}

    def sample(self, policy: Policy, plan: EpisodePlan) -> Iterator[Episode]:
        """See `Sampler.sample`."""
        for batch in plan.batches(self._num_envs):
            intervener = None if plan.deterministic else self.intervener
            env = self._env(len(batch.numbers))
            yield from rollout(env, policy, batch, intervener=intervener)

    def _env(self, count: int) -> Env:
        if count not in self._envs:
            self._envs[count] = self._make_env(count)
        return self._envs[count]
