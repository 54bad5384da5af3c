"""The policy of soft actor-critic without torch."""

import numpy as np
import pytest

from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.environment.policies.policy_kinds import policy_from_tensors
from handlab_core.environment.policies.squashed_policy import SquashedPolicy
from handlab_core.errors import BadRun
from handlab_core.tasks.sizes import Spaces

SPACES = Spaces(3, 2, 60)


@pytest.fixture
def policy():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3, 5)), rng.normal(size=(5, 4))
    biases = rng.normal(size=5), rng.normal(size=4)
    return SquashedPolicy(weights, biases, np.zeros(3), np.ones(3), 1.0, 7)


def test_an_action_by_hand():
    """One unit: relu(2 x) = 2, mean = 2, log_std = 0 (2 * 0 + 0), so tanh(2 + 1 * 0.5)."""
    one = np.array([[2.0]]), np.array([[1.0, 0.0]])
    policy = SquashedPolicy(one, (np.zeros(1), np.zeros(2)), np.zeros(1), np.ones(1), 1.0, 0)
    x = np.array([[1.0], [-1.0]])
    np.testing.assert_allclose(policy.act(x), np.tanh([[2.0], [0.0]]))
    noise = np.array([[0.5], [0.5]])
    np.testing.assert_allclose(policy.act(x, noise), np.tanh([[2.5], [0.5]]))


def test_actions_stay_in_their_range_whatever_the_noise(policy):
    x = np.random.default_rng(1).normal(size=(50, 3))
    action = policy.act(x, np.full((50, 2), 1e6))
    assert np.abs(action).max() <= 1.0


def test_the_noise_of_a_policy_has_the_policys_color(policy):
    def neighbours(exponent):
        own = SquashedPolicy(policy.weights, policy.biases, policy.shift, policy.scale, exponent, 0)
        rng = np.random.default_rng(0)
        noise = np.stack([own.noise(rng, 60) for _ in range(200)])
        assert noise.shape == (200, 60, 2)
        return (noise[:, 1:] * noise[:, :-1]).mean()

    assert abs(neighbours(0.0)) < 0.05 < 0.4 < neighbours(1.0) < neighbours(2.0)


def test_every_kind_of_policy_survives_a_file_bit_for_bit(policy):
    gaussian = GaussianPolicy(
        (np.ones((3, 2)),), (np.zeros(2),), np.zeros(2), np.zeros(3), np.ones(3), 3
    )
    x = np.random.default_rng(1).normal(size=(4, 3))
    for before in (policy, gaussian):
        after = policy_from_tensors(before.tensors(), before.version, SPACES)
        assert type(after) is type(before) and after.version == before.version
        noise = before.noise(np.random.default_rng(2), 4)
        np.testing.assert_array_equal(noise, after.noise(np.random.default_rng(2), 4))
        np.testing.assert_array_equal(before.act(x, noise), after.act(x, noise))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias_1": None}, "p lacks bias_1"),
        ({"weight_1": np.ones((5, 2))}, r"weight_1 of p has shape \(5, 2\); the task needs"),
        ({"noise_exponent": np.array([np.nan])}, "noise_exponent of p holds nan"),
        ({"noise_exponent": np.array([1.0, 1.0])}, "noise_exponent of p has shape"),
        ({"noise_exponent": None}, "lacks log_std"),
        ({"log_std": np.zeros(2)}, "has 'log_std', which no policy has"),
    ],
)
def test_tensors_of_no_policy_are_refused_by_name(policy, change, message):
    tensors = policy.tensors() | change
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    with pytest.raises(BadRun, match=message):
        policy_from_tensors(tensors, 0, SPACES, "p")
