"""Imitation: the demonstrations, own successes among them, and a clone of them.

The robot imitates

- successes, given ones or its own (self-imitation; Oh et al., arXiv:1806.05635),
- as long as there are none, the best episodes of all, hurried by some steps,
- after an experiment, its motions in hindsight; see `exploration.hindsight`.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from handlab_core.environment.episode import Episode
from handlab_core.system.validation import Count, Index, NotNegative, Positive, checked
from handlab_learning.models.squashed_actor import SquashedActor
from handlab_learning.off_policy.replay import Replay
from handlab_learning.off_policy.soft_actor_critic import SmallCount, adam, descend

ELITE = 5
"""Number of episodes that the robot imitates as long as none is a success; they are the best of all
episodes, as in the cross-entropy method (Rubinstein, 1999)."""


@checked
class ImitationConfig:
    """Settings of cloning."""

    batch: Count = 128
    """Transitions of an update; 256 in RLPD, which takes twice the time."""
    cloning_updates: Index = 2000
    """Updates of the actor towards the demonstrations before the first episode."""
    cloning_rate: Positive = 1e-3
    """Learning rate of these updates; that of `bc`."""
    cloning_jitter: NotNegative = 0.2
    """Noise on the observations during cloning, in standard deviations of the observations; see
    `bc`."""
    look_ahead: SmallCount = 4
    """Largest number of steps by which a clone of demonstrations without a success is ahead of
    them. It follows the action that a demonstration took later, so that it is faster."""
    cloned_std: Annotated[Positive, Field(le=1)] = 0.06
    """Initial standard deviation of a cloned policy. At 0.2, noise wrecks a gait that turns the
    valve without it."""


class Imitation:
    """Holds the episodes that the robot imitates, and the clone that imitates them.

    Args:
        config: settings.
        memory: empty; takes the steps of the demonstrations.
        shown: the demonstrations that are given.
        actor: network of the clone; it is copied.
        rng: draws batches, jitter and hurry.
        hindsight: memory of an experiment in hindsight, which is imitated in place of the
            demonstrations; None: there is none.
    """

    def __init__(
        self,
        config: ImitationConfig,
        memory: Replay,
        shown: Sequence[Episode],
        actor: SquashedActor,
        rng: torch.Generator,
        hindsight: Replay | None = None,
    ) -> None:
        self._config, self._rng = config, rng
        self.clone = copy.deepcopy(actor)
        solved = [episode for episode in shown if episode.outcome.solved]
        self.demonstrations = memory
        self.demonstrations.add(solved or shown)
        self.given = [] if solved else list(shown)
        """Demonstrations of which none is a success."""
        self._poor = self.given  # the best episodes, until there is a success
        self.failed = [episode for episode in shown if solved and not episode.outcome.solved]
        """Demonstrations that are not imitated, since others are successes."""
        self.hindsight = hindsight

    def consider(self, episode: Episode) -> Sequence[Episode]:
        """Add an own success to the demonstrations; the first one takes the place of poor ones.

        Before it, the robot imitates the best among its own episodes and the demonstrations.

        Returns:
            Demonstrations that are not imitated any more.
        """
        if not episode.outcome.solved:
            if self._poor:
                every = [*self._poor, episode]
                self._poor = sorted(every, key=_return, reverse=True)[:ELITE]
            return []
        replaced = self.given if self._poor else []
        if self._poor:
            self._poor, self.demonstrations = [], self.demonstrations.emptied()
        self.demonstrations.add([episode])
        return replaced

    def imitate(self) -> None:
        """Bring the clone nearer to the demonstrated actions, with a jitter of random size."""
        config, examples = self._config, self._examples()
        self.clone.set_std(config.cloned_std)
        octaves = 2.0 * float(torch.rand((), generator=self._rng)) - 1.0
        jitter = None
        if self.hindsight is None:  # many motions vary enough, and jitter would blur the goal
            jitter = config.cloning_jitter * 2.0**octaves * examples.spread()
        optimiser = adam(self.clone.parameters(), config.cloning_rate)
        for _ in range(config.cloning_updates):
            descend(optimiser, self._distance(self.clone, examples, jitter))

    def distance(self, actor: SquashedActor) -> Tensor:
        """Return an actor's mean squared distance from the actions of some demonstrated steps."""
        return self._distance(actor, self.demonstrations, None)

    def _examples(self) -> Replay:
        """Return the steps to clone: hurried ones, if there is no success."""
        if self.hindsight is not None:
            return self.hindsight
        if not self._poor:
            return self.demonstrations
        steps = int(torch.randint(self._config.look_ahead + 1, (), generator=self._rng))
        hurried = self.demonstrations.emptied()
        hurried.add([_hurried(episode, steps) for episode in self._poor])
        return hurried

    def _distance(self, actor: SquashedActor, examples: Replay, jitter: Tensor | None) -> Tensor:
        """Return the distance; `jitter` is the standard deviation of the observations' noise."""
        batch = examples.batch(examples.draw(self._config.batch, self._rng))
        observation = batch.observation
        if jitter is not None:
            noise = torch.randn(observation.shape, generator=self._rng)
            observation = observation + jitter * noise
        return functional.mse_loss(actor.mode(observation), batch.action)


def _hurried(episode: Episode, steps: int) -> Episode:
    """Return an episode with the actions of some steps later, the last one repeated."""
    path, count = episode.trajectory, episode.steps
    later = np.minimum(np.arange(count) + steps, count - 1)
    return replace(episode, trajectory=replace(path, actions=path.actions[later]))


def _return(episode: Episode) -> float:
    return episode.episode_return
