"""A person as an intervener: takes the limp fingers, or jogs joints by keys or a joystick.

| mode   | motors | recorded action                                            |
|--------|--------|------------------------------------------------------------|
| policy | follow the policy | the policy's                                     |
| limp   | released | the action that would have moved the hand in the same way |
| jog    | follow the person's targets | these targets                          |

All actions are in the joint frame, in units of the commanded range, as those of the policy.
"""

import re
from enum import Enum
from itertools import groupby

import numpy as np

from handlab_core.environment.intervention import Intervention
from handlab_core.environment.station import ResetResult
from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.tasks.task import Task
from handlab_core.types import Array, Goal, JointState, ObjectEstimate

LONGEST_STEP = 0.5
"""rad; largest sum of jog steps in a control period. The clamp limits the speed in addition."""


class Mode(Enum):
    """Source of the actions."""

    POLICY = 0
    LIMP = 1
    JOG = 2


class InterveningPerson:
    """Implements `Intervener` for one robot; the commands come from outside between its steps.

    Args:
        task: defines hand and control period.
    """

    def __init__(self, task: Task) -> None:
        self._hand, self._period = task.hand, task.period
        self.mode = Mode.POLICY
        self._target: Array | None = None  # (1, n) rad
        self._step: Array = np.zeros(task.hand.n)  # rad, since the last step
        self._velocity: Array = np.zeros(task.hand.n)  # rad/s

    def give_back(self) -> None:
        """Let the policy act again."""
        self.mode, self._target = Mode.POLICY, None
        self._step, self._velocity = np.zeros((2, self._hand.n))

    def take(self) -> None:
        """Release the fingers, so that the person can move them."""
        self.give_back()
        self.mode = Mode.LIMP

    def jog(self, step: Array) -> None:
        """Move the targets of the joints once.

        Args:
            step: (n,) rad.

        Raises:
            BadConfig: it has another size, or a number is not finite.
        """
        self._begin_jog(step)
        self._step = np.clip(self._step + step, -LONGEST_STEP, LONGEST_STEP)

    def drive(self, velocity: Array) -> None:
        """Move the targets of the joints until the next command.

        Args:
            velocity: (n,) rad/s.

        Raises:
            BadConfig: it has another size, or a number is not finite.
        """
        self._begin_jog(velocity)
        self._velocity = velocity.copy()

    def _begin_jog(self, given: Array) -> None:
        if given.shape != (self._hand.n,) or not np.isfinite(given).all():
            raise BadConfig(
                f"a jog of hand {self._hand.name} needs {self._hand.n} finite numbers, not "
                f"{given.size}"
            )
        if self.mode is not Mode.JOG:
            self.give_back()
            self.mode = Mode.JOG

    def begin(self, start: ResetResult, seed: int) -> None:
        """See `Intervener.begin`; every episode begins with the policy."""
        self.give_back()

    def act(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> Intervention:
        """See `Intervener.act`; jogging begins where the joints stand."""
        taken = np.full(len(hand.q), self.mode is not Mode.POLICY)
        if self.mode is not Mode.JOG:
            return Intervention(taken, np.zeros_like(hand.q), self.mode is Mode.LIMP)
        moved = self._step + self._velocity * self._period
        self._step = np.zeros(self._hand.n)
        target = (hand.q if self._target is None else self._target) + moved
        self._target = np.clip(target, self._hand.lower, self._hand.upper)
        return Intervention(taken, self._hand.normalise(self._target))


def fingers(hand: Hand) -> list[list[int]]:
    """Return the indices of each finger's joints; their names begin with the same letters."""
    named = groupby(range(hand.n), key=lambda i: re.split("[^A-Za-z]", hand.joints[i])[0])
    return [list(joints) for _, joints in named]
