"""Corrections of a frozen base policy: a problem with a known answer, and exact resumption."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handlab_core.environment.episode import (
    Episode,
    EpisodeKey,
    Outcome,
    RobotTime,
    Trajectory,
    unknown_temperatures,
)
from handlab_core.environment.policies.gait_policy import GaitPolicy
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.environment.policies.residual_policy import ResidualPolicy
from handlab_core.errors import BadConfig
from handlab_core.tasks import make_task
from handlab_core.tasks.sizes import Spaces, Symmetry
from handlab_learning.algorithms import make_algorithm
from handlab_learning.algorithms.residual import ResidualConfig, residual, with_base_actions

TASK = make_task("valve")
SMALL = ResidualConfig(
    hidden=(8,), batch=16, update_ratio=0.5, first_episodes=1, critic_warm_up=3, actor_every=1
)


def linear(spaces, gain, offset):
    """A base policy: the gain times the first element, and an offset."""
    weight = np.zeros((spaces.observation, spaces.action))
    weight[0] = gain
    bias, std = np.full(spaces.action, offset), np.full(spaces.action, -5.0)
    zero, one = np.zeros(spaces.observation), np.ones(spaces.observation)
    return GaussianPolicy((weight,), (bias,), std, zero, one, 0)


@pytest.fixture
def base():
    return linear(TASK.spaces, 0.3, 0.1)


@pytest.fixture
def own(episodes_of, squashed):
    rng = np.random.default_rng(0)
    return episodes_of(TASK, squashed, rng, lambda a: -np.abs(a - 0.3).sum(-1), count=6)


def test_a_constant_offset_of_the_base_is_corrected():
    """s' = s + u / 2, cost s^2 + u^2 / 10, discount 0.9; the base is u = -K s + 0.2."""
    p = 1.0
    for _ in range(1000):
        k = 0.9 * p * 0.5 / (0.1 + 0.9 * p * 0.25)
        p = 1.0 + 0.9 * p * (1.0 - 0.5 * k)
    spaces, rng = Spaces(1, 1, 20), np.random.default_rng(0)
    base = linear(spaces, -k, 0.2)
    episodes = []
    for number in range(60):
        states, actions = [rng.uniform(-0.5, 0.5)], []
        for _ in range(20):
            tried = float(base.act(np.array([[states[-1]]]))[0, 0]) + rng.uniform(-0.8, 0.8)
            actions.append(float(np.clip(tried, -1, 1)))
            states.append(states[-1] + 0.5 * actions[-1])
        cost = np.square(states[:-1]) + 0.1 * np.square(actions)
        path = Trajectory(
            np.array(states)[:, None], np.array(actions)[:, None], -cost, -cost[:, None],
            np.zeros(20), np.zeros(1),
        )  # fmt: skip
        key = EpisodeKey(number, 0, 0, deterministic=False)
        outcome, time = Outcome(False, False), RobotTime(2.0)
        episodes.append(Episode(key, path, outcome, time, unknown_temperatures(1)))
    config = ResidualConfig(
        hidden=(32,), batch=64, gamma=0.9, reward_scale=1.0, first_episodes=1, actor_every=2,
        update_ratio=75.0, critic_rate=2e-3, actor_rate=2e-3, temperature=0.003,
        target_entropy=-3.0, target_rate=0.02, bound=0.4, n_step=1,
    )  # fmt: skip
    learner = residual(spaces, config, 0, (), base)
    x = np.linspace(-0.4, 0.4, 11)[:, None]
    _, before = np.polyfit(x[:, 0], learner.policy().act(x)[:, 0], 1)
    assert before == pytest.approx(0.2)
    learner.update(episodes)
    learner.update_meanwhile()
    gain, after = np.polyfit(x[:, 0], learner.policy().act(x)[:, 0], 1)
    assert abs(after) < 0.05
    assert gain == pytest.approx(-k, rel=0.1)


def test_learning_begins_with_the_base_policy(base, own):
    learner = residual(TASK.spaces, SMALL, 0, (), base)
    x = own[0].trajectory.observations
    expected = np.clip(base.act(x), -1, 1)
    for policy in (learner.policy(), learner.result()):
        np.testing.assert_array_equal(policy.act(x), expected)
    learner.update(own[:1])
    learner.update_meanwhile()
    changed = learner.policy().act(x)
    assert not np.array_equal(changed, expected)
    assert np.abs(changed - expected).max() <= SMALL.bound


def test_the_actor_samples_what_its_numpy_copy_does(base):
    actor = residual(TASK.spaces, SMALL, 0, (), base).sac.actor
    with torch.no_grad():
        for parameter in actor.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=None))
    policy = actor.to_numpy(1.0, 0)
    assert isinstance(policy, ResidualPolicy)
    x = np.random.default_rng(0).normal(size=(20, TASK.observation_size))
    b = np.clip(base.act(x), -1, 1)
    observed = torch.tensor(np.concatenate((x, b), 1), dtype=torch.float32)
    with torch.no_grad():
        mode = actor.mode(observed).numpy()
    np.testing.assert_allclose(mode, np.clip(policy.act(x), -1, 1), atol=1e-5)


def test_the_memory_has_the_base_action_before_and_after_each_transition(base, own):
    learner = residual(TASK.spaces, replace(SMALL, n_step=2), 0, (), base)
    learner.update(own[:1])
    path, o = own[0].trajectory, TASK.observation_size
    batch = learner.replay.batch(learner.replay._rows[: own[0].steps])
    b = np.clip(base.act(path.observations), -1, 1)
    np.testing.assert_allclose(batch.observation[:, o:], b[:-1], rtol=1e-5)
    np.testing.assert_allclose(batch.following[0, o:], b[2], rtol=1e-5)
    np.testing.assert_allclose(batch.action, np.clip(path.actions, -1, 1), rtol=1e-5)


def test_the_actions_of_a_gait_are_those_that_it_took(own):
    """A gait remembers its phase: its actions are found from the episode's beginning on."""
    n = TASK.hand.n
    gait = GaitPolicy(np.zeros(n), np.ones(n), np.arange(n), 0.3, TASK.spaces.fingers.error, 0.0, 0)
    acting, path = gait.begin(), own[0].trajectory
    taken = [np.clip(acting.act(row[None]), -1, 1)[0] for row in path.observations]
    for _ in range(2):
        observed = with_base_actions(own[0], gait).trajectory.observations
        np.testing.assert_array_equal(observed[:, : TASK.observation_size], path.observations)
        np.testing.assert_array_equal(observed[:, TASK.observation_size :], taken)


def test_exchanged_fingers_exchange_the_base_action(base):
    spaces = Spaces(2, 2, 8, (Symmetry((1, 0), (1, 0)),))
    config = replace(SMALL, symmetries=True)
    learner = residual(spaces, config, 0, (), linear(spaces, 0.5, 0.0))
    columns = learner.replay._columns[1]
    np.testing.assert_array_equal(columns, [1, 0, 3, 2, 5, 4, 6, 7, 9, 8, 11, 10])


@pytest.mark.parametrize("shown", [False, True])
def test_a_resumed_run_is_uninterrupted_to_the_last_bit(base, own, shown):
    given = own[4:] if shown else []
    one, two, three = (residual(TASK.spaces, SMALL, seed, given, base) for seed in (5, 5, 99))
    for episode in own[:4]:
        one.update_meanwhile()
        one.update([episode])
    for episode in own[:2]:
        two.update_meanwhile()
        two.update([episode])
    three.load_state_dict({k: v.clone() for k, v in two.state_dict().items()})
    three.recall(own[:2])
    for episode in own[2:4]:
        three.update_meanwhile()
        three.update([episode])
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, three.state_dict()[name]), name


def test_settings_that_cannot_be_are_refused():
    for name, value in (("bound", 0.0), ("bound", 1.5), ("own_demonstrations", 8)):
        with pytest.raises(BadConfig, match=name):
            ResidualConfig(**{name: value})
    with pytest.raises(BadConfig, match="name one with --base"):
        make_algorithm("residual", TASK.spaces, SMALL, 0)
