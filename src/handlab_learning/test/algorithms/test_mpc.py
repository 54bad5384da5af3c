"""Model-predictive control: models of a linear system, its use, and its resume."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handlab_core.environment.episode import Episode, EpisodeKey, Outcome, RobotTime, Trajectory
from handlab_core.environment.policies.planning_policy import PlanningPolicy
from handlab_core.environment.policies.random_motion import RandomMotion
from handlab_core.errors import BadConfig
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.mpc import Mpc, MpcConfig

STEPS = 20


def reward(observation, change):
    return -np.square(observation[..., 0])


SPACES = Spaces(1, 1, STEPS, reward=reward)
SMALL = MpcConfig(
    members=2, hidden=(32,), random_episodes=6, episodes_per_fit=4, samples=60, epochs=40, batch=32,
    rate=3e-3,
)  # fmt: skip


def run(policy, seed, count=2):
    """Episodes of a mass with friction; its position is observed."""
    episodes = []
    for number in range(count):
        rng, acting = np.random.default_rng((seed, number)), policy.begin()
        noise = policy.noise(rng, STEPS)
        seen, actions, velocity = [np.array([1.0 + 0.1 * rng.normal()])], [], 0.0
        for t in range(STEPS):
            actions.append(acting.act(seen[-1][None], noise[t][None])[0])
            velocity = 0.5 * velocity + 0.3 * float(actions[-1][0])
            seen.append(seen[-1] + velocity)
        observations = np.stack(seen)
        rewards = reward(observations[1:], None)
        path = Trajectory(observations, np.stack(actions), rewards, rewards[:, None],
                          observations[1:, 0], np.zeros(1))  # fmt: skip
        key = EpisodeKey(number, seed, policy.version, False)
        episodes.append(Episode(key, path, Outcome(False, False), RobotTime(2.0), np.zeros(1)))
    return episodes


def learn(learner, iterations, first=0):
    for iteration in range(first, first + iterations):
        metrics = learner.update(run(learner.policy(), iteration))
    return metrics


def test_random_motions_come_first_and_fits_at_the_agreed_distance():
    learner, fits = Mpc(SPACES, SMALL, 0), []
    assert learner.episodes_per_iteration == 2
    for iteration in range(7):
        searching = isinstance(learner.policy(), RandomMotion)
        fits.append((searching, int(learner.update(run(learner.policy(), iteration))["fits"])))
    # 6 random episodes, then a fit every 4
    assert fits == [(True, 0), (True, 0), (True, 1), *[(False, n) for n in (1, 2, 2, 3)]]


def test_models_of_a_linear_system_predict_it():
    learner = Mpc(SPACES, replace(SMALL, epochs=200), 0)
    learn(learner, 3)
    models = learner.net.to_numpy()
    rng = np.random.default_rng(1)
    x = np.column_stack((rng.uniform(0.0, 1.0, 50), rng.uniform(-0.3, 0.3, 50),
                         rng.uniform(-0.8, 0.8, 50))).astype(np.float32)  # fmt: skip
    change = models.changes(np.broadcast_to(x, (2, *x.shape)))
    expected = 0.5 * x[:, 1] + 0.3 * x[:, 2]
    assert np.abs(change[..., 0] - expected).mean() < 0.03
    with torch.no_grad():
        same = learner.net(torch.tensor(x).expand(2, -1, -1)) * learner.net.out_scale
        same = (same + learner.net.out_shift).numpy()
    np.testing.assert_allclose(change, same, atol=1e-5)


def test_a_planner_with_learned_models_solves_the_task():
    learner = Mpc(SPACES, SMALL, 0)
    learn(learner, 3)
    policy = learner.policy()
    assert isinstance(policy, PlanningPolicy)
    assert np.mean([e.episode_return for e in run(policy, 50)]) > -4.0  # at rest: -20


def test_a_resumed_run_is_the_uninterrupted_one_in_every_bit():
    whole = Mpc(SPACES, SMALL, 0)
    learn(whole, 6)
    for stop in (1, 3, 5):
        half, other, made = Mpc(SPACES, SMALL, 0), Mpc(SPACES, SMALL, 0), []
        for iteration in range(stop):
            made += run(half.policy(), iteration)
            half.update(made[-2:])
        other.load_state_dict({n: t.clone() for n, t in half.state_dict().items()})
        other.recall(made)
        learn(other, 6 - stop, first=stop)
        for name, tensor in whole.state_dict().items():
            assert tensor.equal(other.state_dict()[name]), name


def test_impossible_settings_and_tasks_are_refused():
    with pytest.raises(BadConfig, match="longest_period"):
        MpcConfig(shortest_period=9, longest_period=8)
    with pytest.raises(BadConfig, match="reward"):
        Mpc(replace(SPACES, reward=None), SMALL, 0)
