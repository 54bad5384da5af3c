"""Control steps of worlds that all differ, beside the same number of worlds that are alike."""

import statistics
import time
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from handlab.benches.formatting import steps_text
from handlab.benches.result import Bench, Figure, Result
from handlab_core.environment.env import Env
from handlab_core.environment.station import LocalStation
from handlab_core.system.validation import Count, OneOf, Text, checked
from handlab_core.tasks import TASKS, Task, make_task
from handlab_core.tasks.variation import draw_all
from handlab_core.worlds.levels import FULL, LEVELS, level_of
from handlab_core.worlds.world import World, world_of
from handlab_sim.backend import MujocoBackend

THREADS, ROUNDS = 2, 7


@checked
class RandomiseOptions:
    """Worlds that are measured."""

    task: Annotated[Text, OneOf("task", TASKS), Field(description="Name of the task")] = "valve"
    worlds: Annotated[Count, Field(le=4096, description="Number of worlds side by side")] = 64
    level: Annotated[
        Text, OneOf("level of randomisation", LEVELS), Field(description="Level of randomisation")
    ] = FULL


def measure(seed: int, options: RandomiseOptions) -> Result:
    """Run episodes of random actions with drawn worlds and with equal ones, alternately.

    The time of an episode includes drawing its worlds and setting their numbers, and the reset.
    """
    task, n = make_task(options.task), options.worlds
    plain = MujocoBackend(task.hand, task.fixture, n, THREADS)
    varied = MujocoBackend(
        task.hand, task.fixture, n, THREADS, worlds=_draw(task, options.level, seed, n, 0)
    )
    pairs = []
    for i in range(ROUNDS + 1):
        numbers = np.arange(i * n, (i + 1) * n)
        began = time.perf_counter()
        varied.become(_draw(task, options.level, seed, n, int(numbers[0])))
        drawn = _episode(task, varied, seed, numbers, began)
        alike = _episode(task, plain, seed, numbers, time.perf_counter())
        pairs.append((drawn, alike))
    pairs = pairs[1:]  # the first compiles the sizes
    value = statistics.median(drawn for drawn, _ in pairs)
    ratio = statistics.median(drawn / alike for drawn, alike in pairs)
    details = {"task": options.task, "worlds": n, "threads": THREADS, "level": options.level,
               "rounds": [list(pair) for pair in pairs], "seed": seed}  # fmt: skip
    return Result(value, value / ratio, "control steps/s", details)


def _draw(task: Task, level: str, seed: int, count: int, first: int) -> Sequence[World]:
    variations, servos = level_of(task, level), task.hand.servos
    return [
        world_of(draw_all(variations, seed, episode), servos, seed, episode)
        for episode in range(first, first + count)
    ]


def _episode(
    task: Task, backend: MujocoBackend, seed: int, numbers: np.ndarray, began: float
) -> float:
    """Return the control steps per s of one episode of every world, counted from `began`."""
    env = Env(task, LocalStation(task, backend), teleport=True)
    env.reset(seed, numbers)
    rng = np.random.default_rng((seed, int(numbers[0])))
    for action in rng.uniform(-1, 1, (task.steps, len(numbers), task.hand.n)):
        env.reward(env.step(action))
    return len(numbers) * task.steps / (time.perf_counter() - began)


BENCH = Bench(
    measure,
    RandomiseOptions,
    figure=Figure(
        "steps of worlds that all differ, beside worlds that are alike", "ratio 0.95", steps_text
    ),
)
