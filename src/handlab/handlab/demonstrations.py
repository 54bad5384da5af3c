"""Demonstrations for a run: of a recorded bag, or of a Minari dataset for a task of the suite."""

from pathlib import Path

from handlab_core.episode import Episode
from handlab_core.suite import SuiteTask
from handlab_learning.run_config import RunConfig


def demonstrations_of(config: RunConfig) -> list[Episode]:
    """Read what a run shall learn from; nothing, if it names nothing.

    Raises:
        HandlabError: it is not there, or of another task.
    """
    if not config.demos:
        return []
    task = config.make_task()
    if isinstance(task, SuiteTask):
        from handlab_sim.minari_data import read_dataset

        return read_dataset(config.demos, task)
    from handlab_nodes.demonstration_bag import read_demonstrations

    return read_demonstrations(Path(config.demos), task)
