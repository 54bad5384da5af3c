"""Reward every state of the object as soon as the hand's state and the goal have arrived.

The streams of a graph are not in step, and a goal may arrive after the first states that it holds
for.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import fields

import numpy as np

from handlab_core.environment.stamp_sync import StampSync
from handlab_core.rewards.reward import RewardComputer
from handlab_core.types import SAME_TIME, Goal, JointState, ObjectEstimate, Reward, Sample

MEMORY = 500
"""States that a late goal can still reward; five seconds at the drivers' 100 Hz."""


class RewardStream:
    """Computes the rewards of one robot's states, each once.

    Args:
        computer: the reward of the task.
    """

    def __init__(self, computer: RewardComputer) -> None:
        self.computer = computer
        self._sync: StampSync[JointState, ObjectEstimate] = StampSync()
        self._past: deque[Sample] = deque(maxlen=MEMORY)
        self._pending: deque[Sample] = deque()
        self._goal: Goal | None = None

    def add_hand(self, hand: JointState) -> None:
        """Add the next state of the hand."""
        self._sync.add_a(hand)

    def add_object(self, obj: ObjectEstimate) -> None:
        """Add the next state of the object; an older stamp discards all states before it."""
        if self._past and obj.stamp[0] < self._past[-1].object.stamp[0]:
            self._past.clear()
            self._pending.clear()
        self._sync.add_b(obj)

    def add_goal(self, goal: Goal) -> None:
        """Set the goal; reward all states since its stamp, and the newest state in any case.

        The present goal again changes nothing: it was announced twice.
        """
        self._pair()
        if self._goal is not None and _equal(goal, self._goal):
            return
        since = [s for s in self._past if s.object.stamp[0] >= goal.stamp[0] - SAME_TIME]
        self._pending = deque(since or list(self._past)[-1:])
        self._goal = goal

    @property
    def waiting(self) -> bool:
        """Whether a state of the object lacks only the hand's state."""
        return self._goal is not None and self._sync.waiting

    def due(self) -> Iterator[tuple[Goal, ObjectEstimate, Reward]]:
        """Return goal, state and reward of all complete states, oldest first, each once."""
        self._pair()
        while self._goal is not None and self._pending:
            sample = self._pending.popleft()
            reward = self.computer.compute(sample.hand, sample.object, self._goal)
            yield self._goal, sample.object, reward

    def _pair(self) -> None:
        for hand, obj in self._sync.pairs():
            sample = Sample(hand, obj)
            self._past.append(sample)
            if self._goal is not None:
                self._pending.append(sample)


def _equal(a: Goal, b: Goal) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Goal))
