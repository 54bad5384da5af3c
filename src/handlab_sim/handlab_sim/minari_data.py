"""Demonstrations from Minari datasets."""

from typing import Any

import minari
import numpy as np

from handlab_core.episode import Episode
from handlab_core.errors import BadDemonstrations
from handlab_core.suite import SuiteTask
from handlab_sim.adroit import episode_of

KNOWN = (
    "a local one (`minari list local` shows them, MINARI_DATASETS_PATH is where they are) or one "
    "that Minari downloads, as D4RL/door/human-v2"
)


def read_dataset(name: str, task: SuiteTask) -> list[Episode]:
    """Read a dataset; one that is not on this machine is downloaded.

    The last action of an episode goes with its last observation but one; datasets in which
    observations and actions are equally many are cut by an action.

    Args:
        name: Minari's id.
        task: that it must be of.

    Raises:
        BadDemonstrations: there is none of that name, or it is of another environment.
    """
    try:
        dataset = minari.load_dataset(name, download=True)
    except Exception as error:  # Minari, its formats and its remote raise what they like
        raise BadDemonstrations(
            f"no demonstrations {name!r} for {task.name}: {error}; name {KNOWN}"
        ) from error
    environment = getattr(dataset.env_spec, "id", "unknown")
    if not environment.startswith(task.environment):
        raise BadDemonstrations(
            f"{name} was recorded in {environment}; {task.name} needs demonstrations in "
            f"{task.environment}"
        )
    return [_episode(number, data, task) for number, data in enumerate(dataset.iterate_episodes())]


def _episode(number: int, data: Any, task: SuiteTask) -> Episode:
    observations = np.asarray(data.observations, dtype=np.float64)
    steps = min(len(data.actions), len(observations) - 1)
    reached = np.asarray(data.infos.get("success", np.zeros(steps)))[:steps]
    arrays = (
        observations[: steps + 1],
        np.asarray(data.actions[:steps], dtype=np.float64),
        np.asarray(data.rewards[:steps], dtype=np.float64),
        np.zeros(steps),
    )
    return episode_of(task, arrays, int(reached.sum()), (number, -1, -1, False))
