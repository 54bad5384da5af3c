"""Learning in hindsight: relabelled goals, and a clone that reaches poses after some motions."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handlab.experiments.task_kinds import local_sampler
from handlab_core.environment.episode import EpisodePlan
from handlab_core.errors import BadConfig
from handlab_core.tasks import make_task
from handlab_learning.algorithms.residual import ResidualConfig
from handlab_learning.algorithms.rlpd import Rlpd, RlpdConfig
from handlab_learning.exploration.hindsight import in_hindsight, with_other_goals

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


@pytest.mark.parametrize("name", ["valve", "valve_random", "valve_tracking", "pose"])
def test_other_goals_were_reached_and_have_their_rewards(name):
    task = make_task(name).with_reward("robel")
    spaces = task.spaces
    learner = Rlpd(spaces, RlpdConfig(), 0)
    [episode] = local_sampler(task, 1, 1).sample(learner.policy(), EpisodePlan(0, [0]))
    told, path = spaces.relabelling, episode.trajectory
    for other in with_other_goals(episode, spaces, 3, np.random.default_rng(0)):
        now = other.trajectory
        errors = now.observations[:, list(told.errors)]
        assert np.isclose(np.abs(errors).max(axis=1).min(), 0.0), "it came by its goal"
        moved = path.observations[:, list(told.measured)] * np.array(told.scale)
        np.testing.assert_allclose(np.diff(errors, axis=0), np.diff(moved, axis=0), atol=1e-12)
        rows = np.abs(errors[1:]).mean(axis=1), np.abs(path.errors)
        new, old = (sum(weights(task, error)) for error in rows)
        np.testing.assert_allclose(now.rewards - path.rewards, new - old, atol=1e-9)
        if told.bent:
            bent = np.tanh(errors[:, 0] / 0.25)
            np.testing.assert_allclose(now.observations[:, told.bent[0]], bent)


def weights(task, error):
    """Return the terms of a reward that depend on the distance, (T,) each."""
    for term in task.rewards["robel"]:
        if term.name == "distance":
            yield term.weight * error
        elif term.name in ("near", "very_near"):
            yield term.weight * (error < {"near": 0.25, "very_near": 0.1}[term.name])


def test_a_part_of_each_batch_has_other_goals():
    task = make_task("valve_random")
    config = RlpdConfig(hidden=(8,), batch=20, other_goals=2, other_goal_fraction=0.25)
    learner = Rlpd(task.spaces, config, 0)
    episodes = local_sampler(task, 1, 1).sample(learner.policy(), EpisodePlan(0, [0]))
    learner.update(list(episodes))
    error = task.spaces.relabelling.errors[0]
    own = learner.replay.batch(learner.replay._rows[: len(learner.replay)]).observation[:, error]
    drawn = learner._draw().observation[:, error]
    assert sum(not bool(torch.isclose(own, one).any()) for one in drawn) == 5


def test_other_goals_are_refused_where_a_goal_cannot_be_another_one():
    spaces = replace(make_task("valve").spaces, relabelling=None)
    with pytest.raises(BadConfig, match="other_goals is 4; it must be 0"):
        Rlpd(spaces, RlpdConfig(other_goals=4), 0)
