"""A residual policy: bounded, with its base inside, and without a memory of other episodes."""

import numpy as np
import pytest

from handlab_core.environment.policies.gait_policy import GaitPolicy
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.environment.policies.policy_kinds import MOST_NESTED, policy_from_tensors
from handlab_core.environment.policies.residual_policy import BOUND, ResidualPolicy
from handlab_core.environment.policies.squashed_policy import SquashedPolicy
from handlab_core.errors import BadRun
from handlab_core.tasks.sizes import Spaces

SPACES = Spaces(2, 1, 60)
X = np.random.default_rng(0).normal(size=(50, 2))


def linear(slope):
    """A base policy: slope times the first element."""
    weight = np.array([[slope], [0.0]])
    return GaussianPolicy((weight,), (np.zeros(1),), np.zeros(1), np.zeros(2), np.ones(2), 0)


def correction(bias=0.0, version=5):
    """A correction tanh(bias) in every state, with standard deviation 1 before squashing."""
    rows = np.zeros((3, 2))
    return SquashedPolicy((rows,), (np.array([bias, 0.0]),), np.zeros(3), np.ones(3), 1.0, version)


def gait():
    return GaitPolicy(np.zeros(1), np.ones(1), np.zeros(1), 0.1, 1, 0.5, 3)


def test_the_correction_is_added_to_the_clipped_base():
    policy = ResidualPolicy(linear(4.0), correction(np.arctanh(0.5)), 0.2)
    expected = np.clip(4.0 * X[:, :1], -1, 1) + 0.2 * 0.5
    np.testing.assert_allclose(policy.act(X), expected)
    assert policy.version == 5


def test_noise_moves_the_action_within_the_bound_only():
    policy = ResidualPolicy(linear(0.3), correction(), 0.2)
    noise = np.random.default_rng(1).normal(size=(50, 1)) * 100
    away = policy.act(X, noise) - policy.act(X)
    assert 0.19 < np.abs(away).max() <= 0.2 + 1e-12
    assert policy.noise(np.random.default_rng(0), 60).shape == (60, 1)


def test_the_correction_observes_the_base_action():
    rows = np.zeros((3, 2))
    rows[2, 0] = 1.0
    own = SquashedPolicy((rows,), (np.zeros(2),), np.zeros(3), np.ones(3), 1.0, 0)
    base = 0.3 * X[:, :1]
    np.testing.assert_allclose(
        ResidualPolicy(linear(0.3), own, 0.5).act(X), base + 0.5 * np.tanh(base)
    )


def test_a_base_with_a_memory_begins_with_each_episode():
    policy = ResidualPolicy(gait(), correction(), 0.2)
    first = policy.begin()
    steps = [first.act(X[:1]) for _ in range(3)]
    again = policy.begin()
    np.testing.assert_array_equal(steps, [again.act(X[:1]) for _ in range(3)])


@pytest.mark.parametrize("base", [linear(0.3), gait(), ResidualPolicy(gait(), correction(), 0.1)])
def test_one_file_holds_the_base_and_the_correction(base):
    policy = ResidualPolicy(base, correction(0.4), 0.2)
    after = policy_from_tensors(policy.tensors(), policy.version, SPACES)
    one, two = policy.begin(), after.begin()
    for _ in range(3):
        np.testing.assert_array_equal(one.act(X), two.act(X))
    assert after.version == policy.version


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({BOUND: np.array([1.5])}, "residual_bound of p is 1.5"),
        ({BOUND: np.array([np.nan])}, "residual_bound of p holds nan"),
        ({"base.log_std": None}, "the base of p lacks log_std"),
        ({"weight_0": np.zeros((2, 2))}, "weight_0 of p has shape"),
        ({"base.weight_0": np.zeros((3, 1))}, "weight_0 of the base of p has shape"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(change, message):
    whole = ResidualPolicy(linear(0.3), correction(), 0.2).tensors() | change
    tensors = {n: t for n, t in whole.items() if t is not None}
    with pytest.raises(BadRun, match=message):
        policy_from_tensors(tensors, 0, SPACES, "p")


def test_policies_can_be_nested_to_a_limit():
    policy = linear(0.3)
    for _ in range(MOST_NESTED):
        policy = ResidualPolicy(policy, correction(), 0.2)
    policy_from_tensors(policy.tensors(), 0, SPACES)
    with pytest.raises(BadRun, match=f"{MOST_NESTED} can be nested"):
        policy_from_tensors(ResidualPolicy(policy, correction(), 0.2).tensors(), 0, SPACES)
