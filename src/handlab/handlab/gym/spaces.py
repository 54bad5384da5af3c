"""Spaces, frame rate and seeds that a task gives an environment."""

import os

import numpy as np
from gymnasium.spaces import Box

from handlab_core.tasks import Task, make_task


def spaces_of(task: Task) -> tuple[Box[np.float64], Box[np.float64]]:
    """Return the spaces of observations and of actions."""
    observation: Box[np.float64] = Box(-np.inf, np.inf, (task.observation_size,), np.float64)
    return observation, Box(-1.0, 1.0, (task.hand.n,), np.float64)


def task_of(name: str, reward: str | None) -> Task:
    """Return a task by name, with a reward variant; None is the task's own."""
    task = make_task(name)
    return task if reward is None else task.with_reward(reward)


def frame_rate(task: Task) -> int:
    """Return the control steps per second, the rate of films."""
    return round(1 / task.period)


def random_seed() -> int:
    """Return a seed for an environment that was given none."""
    return int.from_bytes(os.urandom(4), "little")
