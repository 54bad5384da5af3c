"""The scripted teacher: guides passive fingers, as a person does.

It attaches a spring to every joint and moves the rest positions of the springs. Its inputs are
those of a person: the fingers, and the distance from the goal.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field

from handlab_core.demonstrations.gait import Gait, load_gait
from handlab_core.rewards.goal import Aim
from handlab_core.system.validation import Fraction, NotNegative, Positive, checked
from handlab_core.tasks.task import Task, episode_rng
from handlab_core.types import Array, BoolArray, Goal, JointState, ObjectEstimate

GRIP = 4.0
"""N m/rad; stiffness of the springs. Chosen: 100 N/m at the end of a finger of 0.2 m, as a person
guides, twice the stiffness of the claw's servos."""

ARRIVED, LEFT = 0.02, 0.06
"""rad; distance from the goal at which the teacher stops, and at which it starts again."""

FLOOR = 0.15
"""Fraction of the full speed; minimum until the object arrives."""

POSE_RATE = 2.0
"""rad/s; speed of the joint with the longest way to a pose. Chosen: slower than all servos."""

TREMBLE_TIME = 0.3
"""s; correlation time of the trembling."""

TEACHER_STREAM = 8
"""Number of the random stream, different from those in `handlab_core.tasks.task`."""


def teacher_rng(seed: int, episode: int) -> np.random.Generator:
    """Return the random generator of a teacher in one demonstration."""
    return episode_rng(seed, episode, TEACHER_STREAM)


@checked
class TeacherConfig:
    """Skill of the scripted teacher."""

    speed: Annotated[
        Positive, Field(le=100, description="speed as a multiple of the gait's own")
    ] = 1.0
    noise: Annotated[
        NotNegative,
        Field(le=10, description="rad; standard deviation of the trembling while the hand moves"),
    ] = 0.0
    failures: Annotated[
        Fraction, Field(description="fraction of demonstrations that are broken off")
    ] = 0.0


class Teacher(ABC):
    """Guides N hands at once, independently of each other.

    Args:
        aim: kind of goal of the task.
        teacher_config: skill of the teacher.
        rngs: random generator of each hand, for trembling and for breaking off.
        start: (N, n) rad; present poses of the hands.
    """

    def __init__(
        self, aim: Aim, teacher_config: TeacherConfig, rngs: list[np.random.Generator], start: Array
    ) -> None:
        self.aim, self.teacher_config, self._rngs = aim, teacher_config, rngs
        self._rest, self._going, self._tremble = start.copy(), start.copy(), np.zeros_like(start)
        # A demonstration that is broken off ends for good when this fraction of the way is left.
        broken = np.array([rng.uniform() for rng in rngs]) < teacher_config.failures
        left = np.array([rng.uniform(0.2, 0.9) for rng in rngs])
        self._breaks_off = np.where(broken, left, -np.inf)
        self._way: Array | None = None

    def tick(self, hand: JointState, obj: ObjectEstimate, goal: Goal, dt: float) -> Array:
        """Return the rest positions of the springs for the next `dt` [s], (N, n) rad."""
        error = self.aim.error(hand, obj, goal)
        left = np.abs(error)
        if self._way is None:
            self._way = np.maximum(left, ARRIVED)
        broken = left < self._breaks_off * self._way
        self._breaks_off = np.where(broken, np.inf, self._breaks_off)
        self._rest = self._lead(hand, goal, error, broken, dt)
        return self._rest

    @abstractmethod
    def _lead(
        self, hand: JointState, goal: Goal, error: Array, broken: BoolArray, dt: float
    ) -> Array:
        """Return the next rest positions of the springs, (N, n) rad."""

    def _trembling(self, dt: float) -> Array:
        if self.teacher_config.noise == 0.0:
            return self._tremble
        kept = np.exp(-dt / TREMBLE_TIME)
        fresh = np.stack([rng.standard_normal(self._tremble.shape[1]) for rng in self._rngs])
        spread = self.teacher_config.noise * np.sqrt(1.0 - kept * kept)
        self._tremble = kept * self._tremble + spread * fresh
        return self._tremble


class GaitTeacher(Teacher):
    """Guides the fingers to a gait and along it until the object is at its goal.

    The speed is proportional to the remaining error near the goal. Therefore the teacher stops at
    the goal, and reverses after an overshoot. It approaches the first pose no faster than it
    follows the gait, because servos cannot repeat a faster motion.

    Args:
        gait: cycle of poses; for other arguments see `Teacher`.
    """

    def __init__(
        self,
        gait: Gait,
        aim: Aim,
        teacher_config: TeacherConfig,
        rngs: list[np.random.Generator],
        start: Array,
    ) -> None:
        super().__init__(aim, teacher_config, rngs, start)
        self.gait = gait
        self._along = np.zeros(len(rngs))
        self._there, self._round = np.zeros((2, len(rngs)), dtype=bool)

    def _lead(
        self, hand: JointState, goal: Goal, error: Array, broken: BoolArray, dt: float
    ) -> Array:
        left = np.abs(error)
        stop = np.where(self._there, left < LEFT, left < ARRIVED) | broken
        # A stopped teacher does not press: the springs rest at the fingers' positions.
        held = np.where((stop & ~self._there)[:, None], hand.q, self._rest)
        self._there = stop
        fastest = self.gait.rate * self.teacher_config.speed
        pace = np.clip(left / self.gait.braking, FLOOR, 1.0) * fastest
        waits = stop | ~self._round
        self._along = self._along + np.where(waits, 0.0, -np.sign(error) * pace * dt)
        pose = self.gait.pose(self._along)
        there, towards = _towards(self._going, pose, fastest * dt)
        self._going = np.where(self._round[:, None], pose, towards)
        self._round |= there
        rest: Array = np.where(stop[:, None], held, self._going + self._trembling(dt))
        return rest


class PoseTeacher(Teacher):
    """Guides the joints straight to the goal's pose and follows it."""

    def _lead(
        self, hand: JointState, goal: Goal, error: Array, broken: BoolArray, dt: float
    ) -> Array:
        pose = goal.at(hand.stamp + dt)
        _, towards = _towards(self._going, pose, POSE_RATE * self.teacher_config.speed * dt)
        self._going = np.where(broken[:, None], self._going, towards)
        return self._going + self._trembling(dt)


def _towards(here: Array, there: Array, most: Array | float) -> tuple[BoolArray, Array]:
    """Move towards poses (N, n), each joint by at most `most` [rad]; also return arrivals, (N,)."""
    way = there - here
    farthest = np.abs(way).max(axis=1)
    part = np.minimum(1.0, most / np.maximum(farthest, 1e-9))
    return part >= 1.0, here + part[:, None] * way


Lesson = Callable[[TeacherConfig, list[np.random.Generator], Array], Teacher]
"""Builds the teacher of a task from its skill, generators and the poses of the hands."""


def gait_lesson(task: Task, gait: Gait) -> Lesson:
    """Return the builder of teachers that use a gait."""
    return partial(GaitTeacher, gait, task.aim)


def lesson(task: Task) -> Lesson:
    """Return the builder of scripted teachers of a task.

    Raises:
        UnknownName: the task needs a gait and has none; the message lists the tasks with a gait.
        BadConfig: the gait's file is not one of the task's hand.
    """
    if task.aim.of_object:
        return gait_lesson(task, load_gait(task))
    return partial(PoseTeacher, task.aim)
