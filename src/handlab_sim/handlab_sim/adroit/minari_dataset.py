"""Demonstrations from Minari datasets."""

import logging
from typing import Any

import numpy as np

from handlab_core.environment.episode import Episode, EpisodeKey
from handlab_core.errors import BadDemonstrations, shown
from handlab_core.system.optional_packages import packages_of
from handlab_core.tasks.adroit import SuiteTask
from handlab_core.types import Array
from handlab_sim.adroit.environment import episode_of

with packages_of("adroit"):
    import minari

KNOWN = (
    "a local one (`minari list local` shows them, MINARI_DATASETS_PATH is where they are) or one "
    "that Minari downloads, as D4RL/door/human-v2"
)

LARGEST = 1e6
"""Largest plausible observation, action or reward of the suite, in its units; chosen."""

SHOWN = 5
"""Largest number of reasons in an error message."""

log = logging.getLogger(__name__)


def read_dataset(name: str, task: SuiteTask) -> list[Episode]:
    """Read a dataset; download it if it is not on this machine.

    An episode has one more observation than actions. If a dataset has equal numbers, its last
    action is dropped. Information may begin with a row for the reset. Actions outside [-1, 1] are
    clipped, as in the environments, and counted in a warning. Unusable episodes are omitted, with a
    warning that gives the reason.

    Args:
        name: Minari's id of the dataset.
        task: task of the suite that the dataset must match.

    Raises:
        BadDemonstrations: the dataset does not exist, is of another environment, or has no usable
            episode; the message gives the reasons.
    """
    dataset = _load(name, task)
    episodes, left_out, clipped = [], [], 0
    for number in (int(index) for index in dataset.episode_indices):
        try:
            episode, outside = _episode(number, _read(dataset, number), task)
        except BadDemonstrations as error:
            left_out.append(f"episode {number}: {error}")
            log.warning("%s: episode %d is omitted: %s", name, number, error)
        else:
            episodes.append(episode)
            clipped += outside
    if clipped:
        log.warning("%s: %d actions outside [-1, 1] are clipped", name, clipped)
    if not episodes:
        more = f"; and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
        reasons = "; ".join(left_out[:SHOWN]) or "it is empty"
        raise BadDemonstrations(f"{name} has no usable episode; {reasons}{more}")
    return episodes


def _load(name: str, task: SuiteTask) -> Any:
    try:
        dataset = minari.load_dataset(name, download=True)
        environment = getattr(dataset.env_spec, "id", "unknown")
    except Exception as error:  # Minari documents no exceptions of its formats and remotes
        raise BadDemonstrations(
            f"no demonstrations {shown(name)} for {task.name}: {_one_line(error)}; name {KNOWN}"
        ) from error
    if not environment.startswith(task.environment):
        raise BadDemonstrations(
            f"{name} was recorded in {environment}; {task.name} needs demonstrations in "
            f"{task.environment}"
        )
    return dataset


def _read(dataset: Any, number: int) -> Any:
    try:
        return next(iter(dataset.iterate_episodes([number])))
    except Exception as error:  # damaged files raise arbitrary exceptions
        raise BadDemonstrations(f"it cannot be read ({_one_line(error)})") from error


def _episode(number: int, data: Any, task: SuiteTask) -> tuple[Episode, int]:
    """Return an episode and the number of its clipped actions."""
    observations = _numbers("observations", data.observations, (task.observation_size,))
    actions = _numbers("actions", data.actions, (task.action_size,))
    rewards = _numbers("rewards", data.rewards, ())
    count, steps = len(actions), min(len(actions), len(observations) - 1)
    if steps < 1 or count - steps > 1 or len(observations) - count > 1 or len(rewards) != count:
        raise BadDemonstrations(
            f"it has {len(observations)} observations, {count} actions and {len(rewards)} rewards; "
            "there must be one reward for each action, and one observation more"
        )
    outside = int((np.abs(actions[:steps]) > 1.0).any(axis=1).sum())
    arrays = (
        observations[: steps + 1],
        np.clip(actions[:steps], -1.0, 1.0),
        rewards[:steps],
        np.zeros(steps),
    )
    reached = _successes(data.infos, count)[:steps]
    key = EpisodeKey(number, seed=-1, policy_version=-1, deterministic=False)
    return episode_of(task, key, arrays, int(reached.sum())), outside


def _numbers(name: str, given: Any, shape: tuple[int, ...]) -> Array:
    """Return an array with one row per step; raise BadDemonstrations for unusable values."""
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadDemonstrations(f"its {name} are not numbers ({_one_line(error)})") from error
    if values.ndim == 0 or values.shape[1:] != shape:
        raise BadDemonstrations(f"its {name} have the shape {values.shape}, not (steps, *{shape})")
    if (bad := ~(np.abs(values) <= LARGEST)).any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise BadDemonstrations(f"its {name} have {values[at]:g} at step {at[0]}")
    return values


def _successes(infos: Any, count: int) -> Array:
    """Return whether each step reached the goal, (count,); zeros without this information."""
    found = infos.get("success") if isinstance(infos, dict) else None
    if found is None:
        return np.zeros(count)
    reached = _numbers("successes", found, ())
    if len(reached) not in (count, count + 1):
        raise BadDemonstrations(
            f"it has {len(reached)} rows of information for {count} actions; there must be as "
            "many, or one more for the reset"
        )
    return np.asarray(reached[len(reached) - count :] > 0.5, dtype=np.float64)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
