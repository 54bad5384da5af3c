"""The actor in torch and the policy in numpy are the same; densities by hand."""

import numpy as np
import pytest
import torch

from handlab_core.tasks.sizes import Spaces
from handlab_learning.models.squashed_actor import SquashedActor


@pytest.fixture
def actor():
    torch.manual_seed(0)
    actor = SquashedActor(Spaces(5, 3, 60), (16, 8))
    with torch.no_grad():
        actor.net[-1].weight.mul_(20.0)
    return actor


def test_the_robots_policy_is_the_actor(actor):
    """In double precision both are equal but for the order of sums."""
    policy, x = actor.to_numpy(1.0, 4), torch.randn(20, 5, dtype=torch.float64)
    with torch.no_grad():
        mean, log_std = actor.double()(x)
    np.testing.assert_allclose(policy.act(x.numpy()), mean.tanh().numpy(), rtol=1e-12, atol=1e-12)
    noise = np.random.default_rng(0).normal(size=(20, 3))
    noisy = (mean + log_std.exp() * torch.tensor(noise)).tanh().numpy()
    np.testing.assert_allclose(policy.act(x.numpy(), noise), noisy, rtol=1e-12, atol=1e-12)
    assert policy.version == 4 and policy.noise_exponent == 1.0


def test_a_policy_that_was_handed_out_stays_as_it_was(actor):
    policy = actor.to_numpy(1.0, 0)
    before = policy.act(np.ones((1, 5)))
    with torch.no_grad():
        for parameter in actor.parameters():
            parameter.add_(1.0)
    np.testing.assert_array_equal(policy.act(np.ones((1, 5))), before)


def test_the_density_of_actions_is_that_of_many_of_them(actor):
    """For one action: the share of samples in a small interval, divided by its width."""
    actor = SquashedActor(Spaces(2, 1, 60), ())
    x, rng = torch.tensor([[0.3, -0.4]]), torch.Generator().manual_seed(0)
    with torch.no_grad():
        action, log_prob = actor.sample(x.expand(400_000, 2), rng)
    inside = (action[:, 0] - 0.5).abs() < 0.02
    share = inside.float().mean() / 0.04
    assert float(log_prob[inside].exp().mean()) == pytest.approx(float(share), rel=0.03)
