"""Demonstrations that come along, and those of a run."""

import pytest

from handlab_core.system.paths import share
from handlab_core.tasks import TASKS, make_task
from handlab_data.demonstration_reader import read_demonstrations

CLAW_TASKS = [name for name in TASKS if make_task(name).hand_name == "claw"]


@pytest.mark.parametrize("name", CLAW_TASKS)
def test_every_claw_task_has_a_reference_bag_of_successes(name):
    """Twenty strict ones of the tasks that figures are shown of."""
    task = make_task(name)
    episodes = read_demonstrations(share() / "demos" / name, task)
    assert len(episodes) >= 10 and all(episode.success for episode in episodes)
    assert {episode.trajectory.observations.shape[1] for episode in episodes} == {
        task.observation_size
    }
    if name in ("valve", "flip"):
        assert len(episodes) == 20 and all(episode.outcome.strict_success for episode in episodes)
