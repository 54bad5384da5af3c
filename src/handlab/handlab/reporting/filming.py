"""Film a policy at work: pictures of some episodes, for a task of each kind."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from handlab_core.environment.env import Env
from handlab_core.environment.episode import EpisodeKey, EpisodePlan
from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import LocalStation
from handlab_core.tasks import Task
from handlab_core.tasks.adroit import SuiteTask
from handlab_core.types import Array, JointState, Reading
from handlab_learning.runs.evaluation import AFTER_TRAINING

FRAMES_PER_STEP = 2
"""Pictures per control step; positions between two steps are interpolated."""

EPISODES = 2

STILL = 0.5
"""s; duration of the last picture of an episode."""

ADROIT_EPISODES, ADROIT_STEPS = 3, 4
"""Number of episodes, and control steps per picture; these episodes are short, at 100 Hz."""


@dataclass(frozen=True)
class Film:
    """Pictures in order."""

    frames: list[NDArray[np.uint8]]  # (H, W, 3) each
    rate: float  # Hz


def film_adroit(task: SuiteTask, policy: Policy, seed: int) -> Film:
    """Film a task of the Adroit suite through the environment's own camera."""
    from handlab_sim.adroit.environment import AdroitWorld

    world = AdroitWorld(task, render_mode="rgb_array")
    frames: list[NDArray[np.uint8]] = []
    steps = 0

    def on_step() -> None:
        nonlocal steps
        if steps % ADROIT_STEPS == 0:
            frames.append(world.env.render())
        steps += 1

    for number in range(AFTER_TRAINING, AFTER_TRAINING + ADROIT_EPISODES):
        key = EpisodeKey(number, seed, policy.version, deterministic=True)
        world.episode(policy, key, on_step)
    world.env.close()
    return Film(frames, 1 / (ADROIT_STEPS * task.period))


def film_station(task: Task, policy: Policy, seed: int) -> Film:
    """Film a simulated station, with a mark at the goal where the goal is an angle."""
    from handlab_sim.backend import MujocoBackend
    from handlab_sim.rendering import StationRenderer

    backend = MujocoBackend(task.hand, task.fixture)
    env = Env(task, LocalStation(task, backend))
    renderer = StationRenderer(task.hand, task.fixture)
    frames: list[NDArray[np.uint8]] = []
    readings: list[Reading] = []
    bent: list[Array] = []

    def on_step(_: int) -> None:
        readings.append(backend.read())
        bent.append(backend.sprung[0].copy())

    for number in range(AFTER_TRAINING, AFTER_TRAINING + EPISODES):
        readings.clear()
        bent.clear()
        rollout(env, policy, EpisodePlan(seed, [number], deterministic=True), on_step)
        start = task.start(seed, number)
        for step, (a, b) in enumerate(pairwise(readings), 1):
            for i in range(FRAMES_PER_STEP):
                share = i / FRAMES_PER_STEP
                hand = _between(a.hand, b.hand, share)
                renderer.bend(bent[step - 1] + share * (bent[step] - bent[step - 1]))
                goal = task.mark(start, (step + share) * task.period)
                frames.append(renderer.frame(hand, _between(a.fixture, b.fixture, share), goal))
        frames += [frames[-1]] * round(STILL * FRAMES_PER_STEP / task.period)
    renderer.close()
    return Film(frames, FRAMES_PER_STEP / task.period)


def _between(a: JointState, b: JointState, share: float) -> JointState:
    return JointState(a.stamp, a.q + share * (b.q - a.q), a.qd, a.effort)
