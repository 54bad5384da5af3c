"""Demonstrations by the scripted teacher in this process: many hands side by side."""

from collections.abc import Sequence

import numpy as np

from handlab_core.demonstrations.recording import Motion
from handlab_core.demonstrations.scripted_teacher import (
    GRIP,
    Lesson,
    TeacherConfig,
    lesson,
    teacher_rng,
)
from handlab_core.environment.station import LocalStation, ResetResult, start_request
from handlab_core.safety.emergency_stop import simulated_hands
from handlab_core.system import batch
from handlab_core.tasks import Task
from handlab_core.types import Array, Goal, JointState, ObjectEstimate
from handlab_sim.backend import MujocoBackend


class Classroom:
    """N simulated hands that let themselves be led.

    Args:
        task: the task to teach.
        num_envs: number of hands.
        threads: to simulate them on.
    """

    def __init__(self, task: Task, num_envs: int, threads: int = 1) -> None:
        self.task, self.count = task, num_envs
        self._backend = MujocoBackend(task.hand, task.fixture, num_envs, threads)
        self._station = LocalStation(task, self._backend)

    def demonstrate(
        self, lesson: Lesson, teacher_config: TeacherConfig, seed: int, episodes: Sequence[int]
    ) -> list[Motion]:
        """Return one demonstration of each hand, after a reset by motors, as long as an episode."""
        numbers = np.array(episodes)
        start = self._station.reset(start_request(self.task, seed, numbers))
        rngs = [teacher_rng(seed, number) for number in episodes]
        teacher = lesson(teacher_config, rngs, start.hand.q)
        hands, objects = [start.hand], [start.object]
        stiffness = np.full_like(start.hand.q, GRIP)
        for _ in range(self.task.steps):
            simulated_hands.wait()
            hand, obj = hands[-1], objects[-1]
            rest = teacher.tick(hand, obj, start.goal, self.task.period)
            self._backend.guide(rest, stiffness)
            sample = self._station.let_go()
            hands.append(sample.hand)
            objects.append(sample.object)
        self._backend.guide(hands[-1].q, np.zeros_like(stiffness))
        return [_motion(hands, objects, start, seed, i) for i in range(self.count)]

    def replay(self, actions: Array, seed: int, episodes: Sequence[int]) -> Array:
        """Give actions (T, N, A) to the engaged hands after a reset.

        Returns:
            The object's angles, (N, T + 1) rad.
        """
        start = self._station.reset(start_request(self.task, seed, np.array(episodes)))
        targets = self.task.hand.target(actions)
        angles = []
        for target in targets:
            simulated_hands.wait()
            angles.append(self._station.step(target).object.angle)
        return np.stack([start.object.angle, *angles], axis=1)


def _motion(
    hands: list[JointState], objects: list[ObjectEstimate], start: ResetResult, seed: int, i: int
) -> Motion:
    hand = batch.stack([batch.take(state, [i]) for state in hands])
    obj = batch.stack([batch.take(state, [i]) for state in objects])
    goal: Goal = batch.take(start.goal, [i])
    return Motion(
        hand,
        obj,
        goal,
        began=float(hand.stamp[0]),
        ended=float(hand.stamp[-1]),
        episode=int(goal.episode[0]),
        seed=seed,
        reset_s=float(start.duration[i]),
        reset_attempts=int(start.attempts[i]),
    )


def demonstrate(
    task: Task,
    teacher_config: TeacherConfig,
    seed: int,
    episodes: Sequence[int],
    num_envs: int = 20,
) -> list[Motion]:
    """Return the demonstrations of these numbers; parallel ones do not influence each other."""
    motions: list[Motion] = []
    teaching = lesson(task)
    for first in range(0, len(episodes), num_envs):
        part = episodes[first : first + num_envs]
        motions += Classroom(task, len(part)).demonstrate(teaching, teacher_config, seed, part)
    return motions
