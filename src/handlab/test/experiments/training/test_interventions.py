"""The scripted teacher takes over where an episode makes no progress, and only there."""

import numpy as np
import pytest

from handlab_core.demonstrations.intervening_teacher import (
    LONGEST,
    PATIENCE,
    InterveningTeacher,
)
from handlab_core.environment.env import Env
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import LocalStation
from handlab_core.tasks import make_task
from handlab_learning.runs.sampler import LocalSampler
from handlab_sim.backend import MujocoBackend

TASK = make_task("valve")


def idle_policy():
    """A policy that holds the middle of the range."""
    o, n = TASK.observation_size, TASK.hand.n
    zeros = np.zeros
    return GaussianPolicy((zeros((o, n)),), (zeros(n),), np.full(n, -5.0), zeros(o), np.ones(o), 1)


def env(count):
    return Env(TASK, LocalStation(TASK, MujocoBackend(TASK.hand, TASK.fixture, count)))


@pytest.fixture(scope="module")
def helped():
    return rollout(
        env(2), idle_policy(), EpisodePlan(3, [0, 1]), intervener=InterveningTeacher(TASK)
    )


def test_the_teacher_turns_the_valve_that_an_idle_policy_leaves(helped):
    alone = rollout(env(2), idle_policy(), EpisodePlan(3, [0, 1]))
    for with_help, without in zip(helped, alone, strict=True):
        assert not len(without.interventions) and without.intervention_rate == 0.0
        assert abs(with_help.trajectory.errors[-1]) < abs(without.trajectory.errors[-1]) - 0.5


def test_an_intervention_begins_after_the_patience_and_ends_in_time(helped):
    for episode in helped:
        taken = episode.interventions
        assert taken.shape == (TASK.steps,) and 0.0 < episode.intervention_rate < 1.0
        first = int(np.argmax(taken))
        assert first * TASK.period == pytest.approx(PATIENCE, abs=2 * TASK.period)
        edges = np.flatnonzero(np.diff(np.concatenate(([0.0], taken, [0.0]))))
        lengths = (edges[1::2] - edges[::2]) * TASK.period
        assert lengths.max() <= LONGEST + 1e-9


def test_the_actions_of_an_episode_are_those_that_were_taken(helped):
    policy = idle_policy()
    for episode in helped:
        own = episode.interventions == 0
        quiet = policy.act(episode.trajectory.observations[:-1])
        off = np.abs(episode.trajectory.actions - quiet).max(axis=1)
        assert off[own].max() < 0.1 < off[~own].max()  # the noise is small
        assert np.abs(episode.trajectory.actions).max() <= 1.0


def test_robots_side_by_side_are_helped_as_one_alone(helped):
    one = env(1)
    teacher = InterveningTeacher(TASK)
    for number in (0, 1):
        [alone] = rollout(one, idle_policy(), EpisodePlan(3, [number]), intervener=teacher)
        taken = helped[number].interventions
        assert np.argmax(alone.interventions) == np.argmax(taken)
        if number == 0:  # later resets begin elsewhere
            np.testing.assert_array_equal(alone.interventions, taken)


def test_an_evaluation_is_the_policys_own():
    sampler = LocalSampler(env, 1)
    sampler.intervener = InterveningTeacher(TASK)
    [judged] = sampler.sample(idle_policy(), EpisodePlan(3, [0], deterministic=True))
    [helped] = sampler.sample(idle_policy(), EpisodePlan(3, [0]))
    assert not len(judged.interventions) and helped.intervention_rate > 0.0
