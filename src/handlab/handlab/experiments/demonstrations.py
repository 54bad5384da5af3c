"""Demonstrations for a run: of a recorded bag, or of a Minari dataset for a task of the suite."""

from pathlib import Path

from handlab.experiments.task_kinds import kind_of
from handlab_core.environment.episode import Episode
from handlab_core.errors import BadDemonstrations
from handlab_core.system.paths import share
from handlab_core.tasks.adroit import find_task
from handlab_learning.algorithms import ALGORITHMS
from handlab_learning.algorithms.algorithm import Demonstrations
from handlab_learning.runs.config import RunConfig

REFERENCE = Path("demos")
"""Path in the workspace: for each task with demonstrations of its own a folder, a bag."""


def source(task: str, algorithm: str, given: str) -> str:
    """Return the demonstrations of a run: those given, or the reference ones of its task.

    Args:
        task: name of it.
        algorithm: name of it.
        given: a bag or the name of a dataset; empty: nothing was.

    Returns:
        The name of a dataset, or a bag's absolute path; empty where none are needed or given.

    Raises:
        BadDemonstrations: nothing was given and the task has none of its own.
    """
    method = ALGORITHMS.get(algorithm)
    if given or method is None or method.demonstrations is not Demonstrations.REQUIRED:
        return kind_of(find_task(task)).resolve(given) if given else ""
    reference = share() / REFERENCE / task
    if not reference.exists():
        there = sorted(path.name for path in reference.parent.glob("*"))
        raise BadDemonstrations(
            f"{task} has no demonstrations of its own (there are some of: "
            f"{', '.join(there) or 'nothing'}); name some with --demos"
        )
    return str(reference)


def demonstrations_of(config: RunConfig) -> list[Episode]:
    """Read the demonstrations of a run; none if the run names none.

    Raises:
        HandlabError: it is not there, or of another task.
    """
    if not config.demos:
        return []
    task = config.make_task()
    return kind_of(task).read(config.demos, task)
