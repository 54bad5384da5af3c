"""The scripted teacher: leads passive fingers, as a person's hand does.

It holds every joint by a spring and moves the springs' rest. It sees what a person sees, the
fingers and how far what is taught still is from its goal.
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
"""N m/rad, of a teacher's hand on each joint. Chosen: 100 N/m at the end of a finger of 0.2 m, as a
person guides, neither limp nor clamping; twice the claw's own servos."""

ARRIVED, LEFT = 0.02, 0.06
"""rad. So near the goal the teacher stops, and starts again when the object is so far from it."""

FLOOR = 0.15
"""Of the full speed, the least while the object is not there."""

POSE_RATE = 2.0
"""rad/s, of the joint that has farthest to go to a pose. Chosen: slower than any hand's servos."""

TREMBLE_TIME = 0.3
"""s, over which a hand's trembling forgets itself."""

TEACHER_STREAM = 8
"""Random stream of an episode, beside those of `handlab_core.tasks.task`."""


def teacher_rng(seed: int, episode: int) -> np.random.Generator:
    """Random numbers of a teacher in one demonstration."""
    return episode_rng(seed, episode, TEACHER_STREAM)


@checked
class TeacherConfig:
    """How well somebody teaches."""

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
    """Leads N hands at once, each as if it were alone.

    Args:
        aim: of the task that is taught.
        teacher_config: how well.
        rngs: one for each hand; its trembling and whether it breaks off depend on nothing else.
        start: where the hands are, (N, n) rad.
    """

    def __init__(
        self, aim: Aim, teacher_config: TeacherConfig, rngs: list[np.random.Generator], start: Array
    ) -> None:
        self.aim, self.teacher_config, self._rngs = aim, teacher_config, rngs
        self._rest, self._going, self._tremble = start.copy(), start.copy(), np.zeros_like(start)
        # Whoever breaks off does so when this part of the way is left, and for good.
        broken = np.array([rng.uniform() for rng in rngs]) < teacher_config.failures
        left = np.array([rng.uniform(0.2, 0.9) for rng in rngs])
        self._breaks_off = np.where(broken, left, -np.inf)
        self._way: Array | None = None

    def tick(self, hand: JointState, obj: ObjectEstimate, goal: Goal, dt: float) -> Array:
        """Where to hold the joints for the next `dt` [s], (N, n) rad."""
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
        """The springs' next rest, (N, n) rad."""

    def _trembling(self, dt: float) -> Array:
        if self.teacher_config.noise == 0.0:
            return self._tremble
        kept = np.exp(-dt / TREMBLE_TIME)
        fresh = np.stack([rng.standard_normal(self._tremble.shape[1]) for rng in self._rngs])
        spread = self.teacher_config.noise * np.sqrt(1.0 - kept * kept)
        self._tremble = kept * self._tremble + spread * fresh
        return self._tremble


class GaitTeacher(Teacher):
    """Leads the fingers to a gait and round it until the object is at its goal.

    It goes on by as much as is left to do: so it stops at the goal, and goes back where it went too
    far. To the gait's first pose it goes no faster than round it: a hand that is pulled there shows
    what its servos cannot do, and whoever learns from it is lost from the first step.

    Args:
        gait: what to do; for other arguments see `Teacher`.
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
        # Who stops presses no more: the hand rests where the fingers are.
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
    """Leads the joints straight to the goal's pose and along with it."""

    def _lead(
        self, hand: JointState, goal: Goal, error: Array, broken: BoolArray, dt: float
    ) -> Array:
        pose = goal.at(hand.stamp + dt)
        _, towards = _towards(self._going, pose, POSE_RATE * self.teacher_config.speed * dt)
        self._going = np.where(broken[:, None], self._going, towards)
        return self._going + self._trembling(dt)


def _towards(here: Array, there: Array, most: Array | float) -> tuple[BoolArray, Array]:
    """Straight towards poses (N, n), no joint by more than `most` [rad]; and who arrives, (N,)."""
    way = there - here
    farthest = np.abs(way).max(axis=1)
    part = np.minimum(1.0, most / np.maximum(farthest, 1e-9))
    return part >= 1.0, here + part[:, None] * way


Lesson = Callable[[TeacherConfig, list[np.random.Generator], Array], Teacher]
"""A teacher of a task for hands that are somewhere."""


def gait_lesson(task: Task, gait: Gait) -> Lesson:
    """Teach a task by a gait."""
    return partial(GaitTeacher, gait, task.aim)


def lesson(task: Task) -> Lesson:
    """How the scripted teacher teaches a task.

    Raises:
        UnknownName: it needs a gait and has none; the message lists for which it has one.
        BadConfig: the gait's file is not one of the task's hand.
    """
    if task.aim.of_object:
        return gait_lesson(task, load_gait(task))
    return partial(PoseTeacher, task.aim)
