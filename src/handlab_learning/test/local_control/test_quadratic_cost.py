"""Quadratic models of rewards: exact where the reward is quadratic, useful where it is not."""

import numpy as np
import pytest

from handlab_learning.local_control import quadratic_cost

BLUR = np.full(3, 0.2)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_a_quadratic_reward_is_expanded_exactly(rng):
    target, weight = rng.normal(size=3), np.array([1.0, 2.0, 0.0])
    states = rng.normal(size=(4, 5, 3))

    def reward(x):
        return -0.5 * (weight * np.square(x - target)).sum(-1)

    slope, curvature = quadratic_cost.expand(reward, states, BLUR)
    np.testing.assert_allclose(slope, weight * (states - target), atol=1e-9)
    np.testing.assert_allclose(curvature, np.broadcast_to(weight, states.shape), atol=1e-9)
    gradient, diagonal = quadratic_cost.around(states, slope, curvature)
    np.testing.assert_allclose(gradient, np.tile(-weight * target, (5, 1)), atol=1e-9)
    np.testing.assert_allclose(diagonal, np.tile(weight, (5, 1)), atol=1e-9)


def test_a_bonus_pulls_from_outside_and_is_convex_inside():
    def reward(x):
        return 50.0 * (np.abs(x[..., 0]) < 0.1)

    states = np.array([[[0.25, 0.0, 0.0]], [[-0.25, 0.0, 0.0]], [[0.0, 0.0, 0.0]]])
    slope, curvature = quadratic_cost.expand(reward, states, BLUR)
    assert slope[0, 0, 0] > 1.0 and slope[1, 0, 0] < -1.0
    assert curvature[2, 0, 0] > 1.0
    np.testing.assert_allclose(slope[..., 1:], 0.0, atol=1e-9)


def test_a_distance_has_its_slope_far_away_and_a_curvature_at_the_goal():
    slope, curvature = quadratic_cost.expand(
        lambda x: -5 * np.abs(x[..., 0]), np.array([[[2.0, 0, 0]], [[0.0, 0, 0]]]), BLUR
    )
    np.testing.assert_allclose(slope[0, 0], [5.0, 0.0, 0.0], atol=1e-9)
    assert curvature[0, 0, 0] == pytest.approx(0.0, abs=1e-6) and curvature[1, 0, 0] > 5.0


def test_a_reward_that_is_not_concave_gives_no_negative_curvature(rng):
    states = rng.normal(size=(2, 3, 3))
    slope, curvature = quadratic_cost.expand(lambda x: np.square(x).sum(-1), states, BLUR)
    assert (curvature < 0).all()
    _, diagonal = quadratic_cost.around(states, slope, curvature)
    assert not diagonal.any()


def test_a_cost_is_fitted_to_samples(rng):
    states, actions = rng.normal(size=(2000, 3)) + 1.0, rng.normal(size=(2000, 2))
    costs = states @ [1.0, -2.0, 0.0] + 1.5 * np.square(states[:, 1]) + np.square(actions).sum(1)
    gradient, curvature = quadratic_cost.fitted(states, actions, costs, ridge=1e-6)
    np.testing.assert_allclose(gradient, [1.0, -2.0, 0.0], atol=1e-3)
    np.testing.assert_allclose(curvature, [0.0, 3.0, 0.0], atol=1e-3)


def test_the_cost_of_a_state_is_that_of_the_step_before_it():
    gradient, curvature = np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]])
    cost = quadratic_cost.quadratic(gradient, curvature, 1, 0.5)
    np.testing.assert_array_equal(cost.gradient, [[0, 0], [1, 0], [2, 0]])
    np.testing.assert_array_equal(cost.hessian[:, 0, 0], [0, 3, 4])
    np.testing.assert_array_equal(cost.hessian[:, 1, 1], [0.5, 0.5, 0])
