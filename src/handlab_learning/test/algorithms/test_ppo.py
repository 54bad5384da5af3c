"""The mathematics of proximal policy optimisation."""

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
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.algorithm import make_algorithm
from handlab_learning.algorithms.ppo import FACTOR, FASTEST, Ppo, PpoConfig, clipped_surrogate
from handlab_learning.models.policy_network import aligned

SPACES = Spaces(observation=1, action=1, steps=5)


def learner(**settings):
    return Ppo(SPACES, PpoConfig(hidden=(16,), **settings), seed=0)


def test_the_clipped_surrogate_by_hand():
    """Gains end at 1 + clip and 1 - clip; losses do not: (1.2 + 0.5 - 2 - 0.8) / 4."""
    ratio = torch.tensor([2.0, 0.5, 2.0, 0.5], requires_grad=True)
    value = clipped_surrogate(ratio, torch.tensor([1.0, 1.0, -1.0, -1.0]), 0.2)
    assert value.item() == pytest.approx((1.2 + 0.5 - 2.0 - 0.8) / 4)
    value.backward()
    np.testing.assert_allclose(ratio.grad, [0.0, 0.25, -0.25, 0.0])


def test_the_first_gradient_is_the_policy_gradient():
    """At the old policy all ratios are 1: the gradient is that of mean(A log pi)."""
    ppo = learner()
    rng = np.random.default_rng(0)
    x, a, adv = (aligned(rng.normal(size=shape)) for shape in ((50, 1), (50, 1), 50))
    old = ppo.net.log_prob(x, a).detach()
    parameters = list(ppo.net.parameters())
    ratio = (ppo.net.log_prob(x, a) - old).exp()
    got = torch.autograd.grad(clipped_surrogate(ratio, adv, 0.2), parameters)
    expected = torch.autograd.grad((adv * ppo.net.log_prob(x, a)).mean(), parameters)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other)


def episode(number, policy, rng):
    """Return an episode in which the best action is half the observation."""
    observations = rng.uniform(-1, 1, (SPACES.steps + 1, 1))
    noise = policy.noise(rng, SPACES.steps)
    actions = policy.act(observations[:-1], noise)
    rewards = -np.square(actions - 0.5 * observations[:-1])[:, 0]
    trajectory = Trajectory(observations, actions, rewards, rewards[:, None], -rewards, np.zeros(1))
    key = EpisodeKey(number, 0, policy.version, False)
    temperatures = unknown_temperatures(1)
    return Episode(key, trajectory, Outcome(False, False), RobotTime(1.0), temperatures)


def iterate(ppo, count, rng):
    for _ in range(count):
        metrics = ppo.update([episode(i, ppo.policy(), rng) for i in range(64)])
    return metrics


def test_a_known_problem_is_solved():
    """Each step is a bandit: the best policy is action = observation / 2, with little noise."""
    ppo = learner(episodes_per_iteration=64, gamma=0.5)
    metrics = iterate(ppo, 60, np.random.default_rng(0))
    x = np.linspace(-0.9, 0.9, 7)[:, None]
    np.testing.assert_allclose(ppo.policy().act(x), 0.5 * x, atol=0.06)
    assert metrics["policy_std"] < 0.3


@pytest.mark.parametrize(("kl", "change"), [(0.05, 1 / FACTOR), (0.02, 1.0), (0.005, FACTOR)])
def test_the_learning_rate_follows_the_divergence(kl, change):
    ppo = learner(kl=0.02, rate=1e-3)
    ppo._adapt(kl)
    assert ppo.rate == pytest.approx(1e-3 * change)
    assert ppo.optimiser.param_groups[0]["lr"] == ppo.rate
    for _ in range(100):
        ppo._adapt(0.0)
    assert ppo.rate == FASTEST


def test_a_resumed_learner_goes_on_exactly():
    """State of policy, optimiser, baseline, learning rate and order of minibatches."""
    one, other = learner(), Ppo(SPACES, PpoConfig(hidden=(16,)), seed=5)
    iterate(one, 3, np.random.default_rng(1))
    other.load_state_dict({name: value.clone() for name, value in one.state_dict().items()})
    for ppo in (one, other):
        iterate(ppo, 2, np.random.default_rng(2))
    states = one.state_dict(), other.state_dict()
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=0, atol=0, msg=name)


def test_it_is_made_by_name_and_checks_its_settings():
    made = make_algorithm("ppo", SPACES, PpoConfig(episodes_per_iteration=8), 0)
    assert made.episodes_per_iteration == 8 and not made.finished
    with pytest.raises(Exception, match="episodes_per_iteration"):
        replace(PpoConfig(), episodes_per_iteration=1)
