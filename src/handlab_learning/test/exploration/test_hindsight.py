"""Learning in hindsight: relabelled goals, and a clone that reaches poses after some motions."""

from dataclasses import replace

import numpy as np
import pytest

from handlab.experiments.task_kinds import local_sampler
from handlab_core.environment.episode import EpisodePlan
from handlab_core.errors import BadConfig
from handlab_core.tasks import make_task
from handlab_learning.algorithms.residual import ResidualConfig
from handlab_learning.algorithms.rlpd import Rlpd, RlpdConfig
from handlab_learning.exploration.hindsight import in_hindsight

CONFIG = RlpdConfig(hindsight_episodes=2, hidden=(32,), cloning_updates=300, update_ratio=0.1)


def moved(learner, sampler, count):
    for _ in range(count):
        number = learner.replay.episodes
        learner.update(list(sampler.sample(learner.policy(), EpisodePlan(0, [number]))))


@pytest.mark.parametrize("name", ["pose", "allegro_pose"])
def test_the_goal_in_hindsight_is_the_pose_that_was_reached(name):
    task = make_task(name)
    learner = Rlpd(task.spaces, CONFIG, 0)
    [episode] = local_sampler(task, 1, 1).sample(learner.policy(), EpisodePlan(0, [0]))
    changed = in_hindsight(episode, task.spaces, 3)
    n, then, now = task.hand.n, episode.trajectory, changed.trajectory
    assert len(now.observations) == len(then.observations) - 3 == len(now.actions) + 1
    np.testing.assert_array_equal(now.actions, then.actions[:-3])
    # The error of a pose 3 steps later is 0 by definition; goals drift by a degree at most.
    old, new = then.observations[:, n : 2 * n], now.observations[:, n : 2 * n]
    np.testing.assert_allclose(new, old[:-3] - old[3:], atol=np.deg2rad(1.5))
    kept = np.r_[0:n, 2 * n : 3 * n]
    np.testing.assert_array_equal(now.observations[:, kept], then.observations[:-3, kept])


def test_a_clone_in_hindsight_moves_towards_goals():
    task = make_task("pose")
    sampler = local_sampler(task, 1, 1)
    learner = Rlpd(task.spaces, replace(CONFIG, hindsight_episodes=6, cloning_updates=1000), 10)
    plan = EpisodePlan(10, [1000, 1001, 1002, 1003], deterministic=True)

    def error():
        episodes = sampler.sample(learner.result(), plan)
        return np.mean([e.trajectory.errors[-16:].mean() for e in episodes])

    before = error()
    moved(learner, sampler, 6)
    assert error() < 0.4 * before


def test_experiments_are_counted_and_come_back_on_resume():
    task = make_task("pose")
    sampler = local_sampler(task, 1, 1)
    learner, plan = Rlpd(task.spaces, CONFIG, 0), EpisodePlan(0, [0])
    episodes = list(sampler.sample(learner.policy(), plan))
    assert learner.update(episodes) == {"experiments": 1.0}
    assert not learner.update_meanwhile(), "nothing is learned before the last experiment"
    resumed = Rlpd(task.spaces, CONFIG, 0)
    resumed.load_state_dict(learner.state_dict())
    resumed.recall(episodes)
    second = list(sampler.sample(resumed.policy(), EpisodePlan(0, [1])))
    for each in (learner, resumed):
        each.update(second)
    one, two = (each.policy().tensors() for each in (learner, resumed))
    assert all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("build", [
    lambda: Rlpd(make_task("valve").spaces, CONFIG, 0),
    lambda: ResidualConfig(hindsight_episodes=2),
])  # fmt: skip
def test_hindsight_without_poses_is_refused(build):
    with pytest.raises(BadConfig, match="hindsight_episodes is 2; it must be 0"):
        build()
