"""Transitions of n steps, from which off-policy algorithms draw their batches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from handlab_core.environment.episode import Episode
from handlab_core.tasks.sizes import Spaces, Symmetry
from handlab_core.types import Array, IntArray

FIRST_ROWS = 4096
"""Rows that the memory has at first; it doubles when it is full."""


class Batch(NamedTuple):
    """B transitions."""

    taken: Tensor
    """(B, O + A); observation and action."""
    observation: Tensor
    """(B, O)."""
    action: Tensor
    """(B, A)."""
    reward: Tensor
    """(B,); discounted sum of the rewards of the steps of the transition."""
    discount: Tensor
    """(B,); discount of the value of the following state; 0 where the task ended the episode."""
    following: Tensor
    """(B, O); observation after the last step of the transition."""


def transitions(episode: Episode, steps: int, gamma: float, reward_scale: float) -> Array:
    """Return the transitions that begin at each step of an episode, one row each, (T, 2 O + A + 2).

    A transition spans `steps` steps, or fewer at the end of the episode. When the time of an
    episode is over, the task goes on: the last state keeps its value (Pardo et al.,
    arXiv:1712.00378).

    Args:
        episode: the episode.
        steps: number of steps of a transition.
        gamma: discount factor of one step.
        reward_scale: factor of the rewards.
    """
    path, count = episode.trajectory, episode.steps
    start = np.arange(count)
    end = np.minimum(start + steps, count)
    reward = np.zeros(count)
    for i in range(steps):
        inside = start + i < count
        reward[inside] += gamma**i * reward_scale * path.rewards[start[inside] + i]
    discount = gamma ** (end - start).astype(float)
    if episode.outcome.terminated:
        discount[end == count] = 0.0
    action = np.clip(path.actions, -1.0, 1.0)
    columns = (path.observations[:-1], action, reward[:, None], discount[:, None])
    return np.concatenate((*columns, path.observations[end]), axis=1)


class Replay:
    """All transitions of a run, in single precision; each row is one transition.

    Where fingers are alike, each transition is stored with every exchange of them, too: one finger
    learns what another one has tried.

    Args:
        spaces: sizes of observation and action.
        steps: number of steps of a transition.
        gamma: discount factor of one step.
        reward_scale: factor of the rewards.
        symmetric: whether to store the exchanges of alike fingers.
    """

    def __init__(
        self, spaces: Spaces, steps: int, gamma: float, reward_scale: float, symmetric: bool
    ) -> None:
        self._columns = [_columns(spaces, None)]
        if symmetric:
            self._columns += [_columns(spaces, symmetry) for symmetry in spaces.symmetries]
        self._spaces, self._form = spaces, (steps, gamma, reward_scale)
        self._rows = torch.empty(FIRST_ROWS, 2 * spaces.observation + spaces.action + 2)
        self._count = self.episodes = 0

    def __len__(self) -> int:
        """Return the number of transitions."""
        return self._count

    def add(self, episodes: Sequence[Episode], intervened: bool = False) -> None:
        """Add the transitions of episodes.

        Args:
            episodes: the episodes.
            intervened: add the transitions only that begin with an intervener's action.
        """
        for episode in episodes:
            rows = transitions(episode, *self._form)
            if intervened:
                rows = rows[episode.interventions > 0] if len(episode.interventions) else rows[:0]
            every = np.concatenate([rows[:, columns] for columns in self._columns])
            new = torch.tensor(every, dtype=torch.float32)
            while self._count + len(new) > len(self._rows):
                self._rows = torch.cat((self._rows, torch.empty_like(self._rows)))
            self._rows[self._count : self._count + len(new)] = new
            self._count += len(new)
            self.episodes += bool(len(new))

    def draw(self, count: int, rng: torch.Generator) -> Tensor:
        """Draw rows with replacement, (count, columns)."""
        return self._rows[torch.randint(self._count, (count,), generator=rng)]

    def emptied(self) -> "Replay":
        """Return a memory of the same kind without transitions."""
        return Replay(self._spaces, *self._form, symmetric=len(self._columns) > 1)

    def spread(self) -> Tensor:
        """Return the standard deviation of each element of the observations, (O,)."""
        return self._rows[: self._count, : self._spaces.observation].std(0, correction=0)

    def batch(self, rows: Tensor) -> Batch:
        """Return rows as a batch."""
        o, a = self._spaces.observation, self._spaces.action
        taken = rows[:, : o + a]
        reward, discount = rows[:, o + a], rows[:, o + a + 1]
        return Batch(taken, rows[:, :o], taken[:, o:], reward, discount, rows[:, o + a + 2 :])


def _columns(spaces: Spaces, symmetry: Symmetry | None) -> IntArray:
    """Return the columns of a transition in the order of an exchange of fingers."""
    observation, action = np.arange(spaces.observation), np.arange(spaces.action)
    if symmetry is not None:
        observation, action = np.array(symmetry.observation), np.array(symmetry.action)
    middle, end = spaces.observation, spaces.observation + spaces.action
    scalars = np.array([end, end + 1])
    return np.concatenate((observation, middle + action, scalars, end + 2 + observation))
