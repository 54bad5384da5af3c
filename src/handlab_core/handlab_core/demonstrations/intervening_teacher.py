"""The scripted teacher as an intervener: it takes over when an episode makes no progress.

Its actions are targets of engaged joints, as those of the policy: the poses to which it would guide
the fingers. They are given in the joint frame, in units of the commanded range.
"""

import numpy as np

from handlab_core.demonstrations.scripted_teacher import (
    Teacher,
    TeacherConfig,
    lesson,
    teacher_rng,
)
from handlab_core.environment.intervention import Intervention
from handlab_core.environment.station import ResetResult
from handlab_core.system import batch
from handlab_core.tasks.task import Task
from handlab_core.types import Array, Goal, JointState, ObjectEstimate

PATIENCE = 1.5
"""s; time without progress after which the teacher takes over. Chosen: a quarter of an episode of
the valve."""

PROGRESS = 0.1
"""rad; decrease of the distance from the goal that counts as progress; the strict criterion's
tolerance. An episode that is this near is left alone."""

LONGEST = 2.0
"""s; after this time the policy acts again. HIL-SERL (arXiv:2410.21845) advises short interventions
from which the policy goes on."""


class InterveningTeacher:
    """Implements `Intervener` with the scripted teacher; robots do not influence each other.

    Args:
        task: defines hand, goal and gait.
        teacher_config: skill of the teacher.

    Raises:
        UnknownName: the task needs a gait and has none.
    """

    def __init__(self, task: Task, teacher_config: TeacherConfig | None = None) -> None:
        self._task, self._config = task, teacher_config or TeacherConfig()
        self._lesson = lesson(task)
        self._teachers: list[Teacher | None] = []

    def begin(self, start: ResetResult, seed: int) -> None:
        """See `Intervener.begin`."""
        numbers = start.goal.episode.tolist()
        self._teachers = [None] * len(numbers)
        self._rngs = [teacher_rng(seed, number) for number in numbers]
        self._nearest = np.full(len(numbers), np.inf)
        self._idle, self._acting = np.zeros((2, len(numbers)))  # s

    def act(self, hand: JointState, obj: ObjectEstimate, goal: Goal) -> Intervention:
        """See `Intervener.act`."""
        task, period = self._task, self._task.period
        left = np.abs(task.aim.error(hand, obj, goal))
        progress = left < self._nearest - PROGRESS
        self._nearest = np.where(progress, left, self._nearest)
        self._idle = np.where(progress | (left < PROGRESS), 0.0, self._idle + period)
        taken = np.zeros(len(left), dtype=bool)
        action: Array = np.zeros_like(hand.q)
        for i, teacher in enumerate(self._teachers):
            if teacher is None and self._idle[i] >= PATIENCE:
                teacher = self._lesson(self._config, [self._rngs[i]], hand.q[[i]])
                self._acting[i] = 0.0
            if teacher is not None and self._acting[i] >= LONGEST:
                teacher, self._idle[i] = None, 0.0
            self._teachers[i] = teacher
            if teacher is not None:
                own = batch.take(hand, [i]), batch.take(obj, [i]), batch.take(goal, [i])
                pose = teacher.tick(*own, period)
                taken[i], action[i] = True, task.hand.normalise(pose[0])
                self._acting[i] += period
        return Intervention(taken, np.clip(action, -1.0, 1.0))
