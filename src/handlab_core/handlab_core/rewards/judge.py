"""Pairs what arrives in any order: each state of the object is judged when hand and goal are there.

A graph's streams are not in step. The hand may be a state ahead of the object, whose estimate takes
longer, and a goal may arrive after the first states that it holds for.
"""

from collections import deque
from collections.abc import Iterator

from handlab_core.rewards.reward import RewardComputer
from handlab_core.types import SAME_TIME, Goal, JointState, ObjectEstimate, Reward

MEMORY = 32
"""States; as many as a stream repeats to a node that was started again."""


class Judge:
    """The rewards of one robot's states.

    Args:
        computer: computes them.
    """

    def __init__(self, computer: RewardComputer) -> None:
        self.computer = computer
        self._hands: deque[JointState] = deque(maxlen=MEMORY)
        self._objects: deque[ObjectEstimate] = deque(maxlen=MEMORY)
        self._pending: deque[ObjectEstimate] = deque(maxlen=MEMORY)
        self._goal: Goal | None = None

    def take_hand(self, hand: JointState) -> None:
        """A newer state of the hand; an older one means that time began anew."""
        if self._hands and hand.stamp[0] < self._hands[-1].stamp[0]:
            self._hands.clear()
        self._hands.append(hand)

    def take_object(self, obj: ObjectEstimate) -> None:
        """A newer state of the object; an older one means that time began anew."""
        if self._objects and obj.stamp[0] < self._objects[-1].stamp[0]:
            self._objects.clear()
            self._pending.clear()
        self._objects.append(obj)
        self._pending.append(obj)

    def take_goal(self, goal: Goal) -> None:
        """Another goal: what was judged since it holds is judged again, the newest state anyway."""
        since = [obj for obj in self._objects if obj.stamp[0] >= goal.stamp[0] - SAME_TIME]
        self._pending = deque(since or list(self._objects)[-1:], MEMORY)
        self._goal = goal

    @property
    def waiting(self) -> bool:
        """Whether a state of the object lacks nothing but the hand's."""
        return bool(self._goal is not None and self._pending and self._hand_is_behind())

    def due(self) -> Iterator[tuple[Goal, ObjectEstimate, Reward]]:
        """The rewards that can be told by now, oldest first, each once; with what they are of."""
        while self._goal is not None and self._pending and not self._hand_is_behind():
            obj = self._pending.popleft()
            if (hand := self._hand_at(float(obj.stamp[0]))) is not None:
                yield self._goal, obj, self.computer.compute(hand, obj, self._goal)

    def _hand_is_behind(self) -> bool:
        due = self._pending[0].stamp[0] - SAME_TIME
        return not self._hands or bool(self._hands[-1].stamp[0] < due)

    def _hand_at(self, stamp: float) -> JointState | None:
        """The hand's state nearest to a time [s], None if none is of that time."""
        nearest, gap = None, SAME_TIME
        for hand in reversed(self._hands):
            apart = abs(float(hand.stamp[0]) - stamp)
            if apart <= gap:
                nearest, gap = hand, apart
            elif hand.stamp[0] < stamp:
                break
        return nearest
