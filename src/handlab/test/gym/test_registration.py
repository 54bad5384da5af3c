"""Every task is an environment of Gymnasium."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import handlab.gym
from handlab_core.tasks import TASKS


@pytest.mark.parametrize("name", sorted(TASKS))
def test_gymnasiums_own_checker_passes_for_every_task(make, name):
    task = TASKS.make(name)
    env = make(name=handlab.gym.gym_id(task), render_mode="rgb_array")
    check_env(env.unwrapped)
    assert env.unwrapped.metadata["render_fps"] == round(1 / task.period)
    _, info = env.reset(seed=1)
    np.testing.assert_array_equal(info["goal"], task.start(1, 0).goal_angle)


def test_no_two_tasks_have_one_name_in_gymnasium():
    assert len({handlab.gym.gym_id(build()) for build in TASKS.values()}) == len(TASKS)
