"""The mathematics of the natural gradient."""

import numpy as np
import pytest
import torch

from handlab_core.errors import BadConfig
from handlab_core.tasks import make_task
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.npg import Npg, NpgConfig, conjugate_gradient
from handlab_learning.algorithms.on_policy import mean_kl
from handlab_learning.algorithms.returns import discounted, gae
from handlab_learning.models.policy_network import PolicyNet, aligned


def test_gae_by_hand():
    """gamma = lam = 1/2: deltas are (1 + 1 - 1, 1 + 2 - 2) = (1, 1), so A = (1 + 1/4, 1)."""
    got = gae(np.array([1.0, 1.0]), np.array([1.0, 2.0]), last=4.0, gamma=0.5, lam=0.5)
    np.testing.assert_allclose(got, [1.25, 1.0])


def test_discounted_by_hand():
    """1 + 1/2 * (2 + 1/2 * (3 + 1/2 * 8)) = 3.75."""
    np.testing.assert_allclose(discounted(np.array([1.0, 2.0, 3.0]), 8.0, 0.5), [3.75, 5.5, 7.0])


def test_lambda_one_is_return_minus_value():
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=20), rng.normal(size=20)
    expected = discounted(rewards, 0.7, 0.9) - values
    np.testing.assert_allclose(gae(rewards, values, 0.7, 0.9, 1.0), expected)


def test_conjugate_gradient_solves_in_as_many_steps_as_dimensions():
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(6, 6, dtype=torch.float64, generator=generator)
    matrix = half @ half.T + torch.eye(6, dtype=torch.float64)
    target = torch.randn(6, dtype=torch.float64, generator=generator)
    x = conjugate_gradient(lambda v: matrix @ v, target, 6, 1e-12)
    torch.testing.assert_close(matrix @ x, target, atol=1e-6, rtol=1e-6)


def test_kl_of_one_dimensional_gaussians_by_hand():
    """KL(N(0, 1) || N(1, 2^2)) = ln 2 + (1 + 1) / 8 - 1/2."""
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    got = mean_kl(zero, zero[0], one, torch.log(torch.tensor([2.0], dtype=torch.float64)))
    assert float(got) == pytest.approx(np.log(2) + 0.25 - 0.5)


@pytest.fixture
def learner():
    return Npg(make_task("valve").spaces, NpgConfig(hidden=(6,), damping=0.0), seed=0)


def test_the_fisher_product_is_the_covariance_of_the_score(learner):
    """F = E[score score'], here by many samples of the policy itself."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 21, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        mean, log_std = learner.net(x), learner.net.log_std.clone()
    size = sum(p.numel() for p in learner.net.parameters())
    v = torch.randn(size, dtype=torch.float64, generator=generator)
    divergence = mean_kl(mean, log_std, learner.net(x), learner.net.log_std)
    product = v @ learner._fisher_vector(divergence, v)
    draws = []
    for _ in range(3000):
        noise = torch.randn(mean.shape, dtype=torch.float64, generator=generator)
        log_prob = learner.net.log_prob(x, mean + log_std.exp() * noise)
        row = torch.randint(4, (1,), generator=generator)
        draws.append(float((learner._flat_gradient(log_prob[row].sum()) @ v) ** 2))
    assert np.mean(draws) == pytest.approx(float(product), rel=0.1)


def test_a_step_has_the_size_it_aims_at():
    """The measured KL of a small step is the one asked for, to second order."""
    learner = Npg(make_task("valve").spaces, NpgConfig(hidden=(6,), damping=0.0, kl=1e-5), seed=0)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(400, 21)))
    action = learner.net(x).detach() + 0.5 * torch.from_numpy(rng.normal(size=(400, 9)))
    advantage = torch.from_numpy(rng.normal(size=400))
    metrics = learner.update_policy(x, action, advantage)
    assert metrics["kl"] == pytest.approx(learner.config.kl, rel=0.1)
    assert metrics["surrogate_gain"] > 0


def test_a_step_that_went_too_far_is_taken_back():
    learner = Npg(
        make_task("valve").spaces, NpgConfig(hidden=(6,), kl=0.05, max_kl_ratio=1e-6), seed=0
    )
    rng = np.random.default_rng(0)
    x, action = (
        torch.from_numpy(rng.normal(size=(50, 21))),
        torch.from_numpy(rng.normal(size=(50, 9))),
    )
    before = [p.clone() for p in learner.net.parameters()]
    metrics = learner.update_policy(x, action, torch.from_numpy(rng.normal(size=50)))
    assert metrics["step_accepted"] == 0
    for old, new in zip(before, learner.net.parameters(), strict=True):
        torch.testing.assert_close(old, new, atol=0, rtol=0)


def test_torch_and_numpy_act_alike():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = PolicyNet(Spaces(21, 9, 60), (64, 64), -0.5)
    net.set_units(rng.normal(3, np.linspace(0.5, 2, 21), (50, 21)), rng.normal(0.2, 0.4, (50, 9)))
    x = rng.normal(size=(7, 21))
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(net.to_numpy(0).act(x), expected, rtol=1e-12)


def test_tensors_begin_where_a_cache_line_does():
    """Else the last digits of a run would depend on where numpy's memory happened to be."""
    memory = np.arange(64.0)
    for first in range(8):
        tensor = aligned(memory[first : first + 8])
        assert tensor.data_ptr() % 64 == 0
        assert tensor[0] == first


def test_it_finds_the_best_action_of_a_bandit(episodes_of):
    """One state, reward -|a - 0.5|^2: the mean must come close to 0.5 in every dimension."""
    task = make_task("valve")
    learner = Npg(task.spaces, NpgConfig(hidden=(8,), gamma=0.5, lam=0.0), seed=0)
    rng = np.random.default_rng(0)
    for _ in range(60):
        learner.update(
            episodes_of(task, learner.policy(), rng, lambda a: -np.square(a - 0.5).sum(-1))
        )
    mean = learner.policy().act(np.zeros((1, task.observation_size)))
    assert np.abs(mean - 0.5).max() < 0.25


def test_resumed_is_uninterrupted(episodes_of):
    task, rng = make_task("valve"), np.random.default_rng(0)
    one = Npg(task.spaces, NpgConfig(hidden=(8,)), seed=5)
    batches = []
    for _ in range(4):
        batches.append(episodes_of(task, one.policy(), rng, lambda a: -np.abs(a).sum(-1)))
        one.update(batches[-1])
    two = Npg(task.spaces, NpgConfig(hidden=(8,)), seed=5)
    for batch in batches[:2]:
        two.update(batch)
    three = Npg(task.spaces, NpgConfig(hidden=(8,)), seed=99)
    three.load_state_dict({k: v.clone() for k, v in two.state_dict().items()})
    for batch in batches[2:]:
        three.update(batch)
    x = rng.normal(size=(3, task.observation_size))
    np.testing.assert_array_equal(one.policy().act(x), three.policy().act(x))
    assert one.version == three.version == 4


def test_the_baseline_explains_what_can_be_explained(episodes_of):
    """Rewards that depend on the observation alone are foreseen after a few fits."""
    learner = Npg(make_task("valve").spaces, NpgConfig(gamma=0.1), seed=0)
    task, rng = make_task("valve"), np.random.default_rng(0)
    for _ in range(15):
        batch = episodes_of(
            task, learner.policy(), rng, lambda a: 0 * a.sum(-1), by_observation=True
        )
        metrics = learner.update(batch)
    assert metrics["value_explained"] > 0.5


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(BadConfig, match="gamma"):
        NpgConfig(gamma=1.5)
    with pytest.raises(BadConfig, match="episodes_per_iteration is 1; it must be greater"):
        NpgConfig(episodes_per_iteration=1)
