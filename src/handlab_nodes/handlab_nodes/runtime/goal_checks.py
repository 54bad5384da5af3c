"""Refuse goals of actions that cannot be carried out, with the reason, where they are received."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handlab_core.environment.intervention import INTERVENERS
from handlab_core.errors import BadConfig, BadDemonstrations, BadRun, UnknownName
from handlab_core.objects.fixture import Fixture
from handlab_core.tasks import Task

MOST_EPISODES = 1000
"""Episodes of one goal; more are asked for in several goals, so that each can be followed."""

MOST_EVALUATED = 100_000
"""Episodes of one evaluation; a week of them in a fast simulation."""


def object_angle(angle: float, fixture: Fixture) -> None:
    """Refuse an angle [rad] that the fixture's motor cannot bring the object to."""
    if not fixture.lower <= angle <= fixture.upper:  # NaN, too
        raise BadConfig(
            f"an object angle of {angle:g} rad cannot be; the {fixture.name} turns from "
            f"{fixture.lower:.3f} to {fixture.upper:.3f} rad"
        )


def episodes(numbers: Sequence[int], least: int = 1) -> None:
    """Refuse episode numbers that are negative or repeated, and too few or too many of them."""
    if not least <= len(numbers) <= MOST_EPISODES:
        raise BadConfig(f"{len(numbers)} episodes; a goal has {least} to {MOST_EPISODES}")
    if min(numbers, default=0) < 0:
        raise BadConfig(f"episode {min(numbers)}: numbers of episodes begin at 0")
    if len(set(numbers)) != len(numbers):
        twice = next(n for i, n in enumerate(numbers) if n in numbers[:i])
        raise BadConfig(f"episode {twice} comes twice; name each once")


def reset(fixture: Fixture) -> Callable[[Any], None]:
    """Return a check of Reset goals."""
    return lambda goal: object_angle(goal.object_angle, fixture)


def rollout(goal: Any) -> None:
    """Check a Rollout goal."""
    episodes(goal.episodes)
    if goal.policy_version < 0:
        raise BadConfig(f"policy version {goal.policy_version}: versions begin at 0")
    if goal.interventions and goal.interventions not in INTERVENERS:
        raise UnknownName("name in interventions", goal.interventions, INTERVENERS)


def evaluate(goal: Any) -> None:
    """Check an Evaluate goal."""
    if not 1 <= goal.episodes <= MOST_EVALUATED:
        raise BadConfig(f"{goal.episodes} episodes; an evaluation has 1 to {MOST_EVALUATED}")
    if goal.first_episode < 0:
        raise BadConfig(f"first episode {goal.first_episode}: numbers of episodes begin at 0")
    if goal.first_episode + goal.episodes > np.iinfo(np.int64).max:
        raise BadConfig(f"first episode {goal.first_episode}: the last one's number is too large")
    if not _exists(goal.checkpoint):
        raise BadRun(f"there is no checkpoint {goal.checkpoint!r}; give the path of one")


def train(task: Task) -> Callable[[Any], None]:
    """Return a check of Train goals for the graph of a task."""
    from handlab_learning.runs.config import config_of  # only the learner has torch
    from handlab_learning.runs.directory import RunFolder

    def check(goal: Any) -> None:
        if not goal.run_dir or not Path(goal.run_dir).is_absolute() or not _exists(goal.run_dir):
            raise BadRun(f"{goal.run_dir!r} is no run folder; give the absolute path of one")
        folder = RunFolder(Path(goal.run_dir))
        config = config_of(goal.config, "config") if goal.config else folder.config()
        if config.task != task.name:
            raise BadRun(f"{goal.run_dir} is a run of {config.task}; this graph is of {task.name}")

    return check


def record(task: Task) -> Callable[[Any], None]:
    """Return a check of RecordDemonstration goals for a task."""
    most = float(task.hand.max_effort.max())

    def check(goal: Any) -> None:
        episodes(goal.episodes)
        if not 0.0 <= goal.hold <= most:  # NaN, too
            raise BadConfig(f"hold {goal.hold:g} N m; joints can resist with 0 to {most:g}")

    return check


def replay(goal: Any) -> None:
    """Check a ReplayDemonstration goal; no episodes are all of the bag."""
    episodes(goal.episodes, least=0)
    if not goal.bag or not _exists(goal.bag):
        raise BadDemonstrations(f"there is no bag {goal.bag!r}; give the path of one")


def _exists(path: str) -> bool:
    try:
        return bool(path) and Path(path).exists()
    except (OSError, ValueError):  # a name that is too long, or has a NUL
        return False
