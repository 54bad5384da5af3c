"""Shown motions of an object: assignment to controllers, and the cost of following them."""

import numpy as np
import pytest

from handlab_learning.local_control.shown_motions import ShownMotions, assigned, follow


def test_a_controller_takes_the_motion_that_it_is_near():
    shares = assigned(np.array([[0.01, 1.0], [1.0, 0.01]]))
    np.testing.assert_allclose(shares, np.eye(2), atol=1e-6)


def test_a_motion_that_no_controller_comes_near_is_left_out():
    """Both controllers follow the other one, though each motion would be free for one of them."""
    shares = assigned(np.array([[0.01, 4.0], [0.02, 4.0]]))
    np.testing.assert_allclose(shares, [[1, 0], [1, 0]], atol=1e-6)


def test_motions_that_are_alike_are_shared():
    shares = assigned(np.full((2, 3), 0.1))
    np.testing.assert_allclose(shares, np.full((2, 3), 1 / 3))


def test_the_bound_falls_to_that_of_the_assignment():
    """No other assignment on a grid has a lower bound, for the best b of each."""
    rng = np.random.default_rng(0)
    distances = rng.uniform(0.1, 0.4, size=(2, 2))
    divergence = distances / (2 * distances.min())

    def bound(first: float, second: float) -> float:
        a = np.array([[first, 1 - first], [second, 1 - second]])
        b = a / np.maximum(a.sum(axis=0), 1e-12)
        return float((a * (np.log(np.maximum(a, 1e-12) / np.maximum(b, 1e-12)) + divergence)).sum())

    grid = np.linspace(0, 1, 41)
    lowest = min(bound(x, y) for x in grid for y in grid)
    found = assigned(distances)
    assert bound(found[0, 0], found[1, 0]) <= lowest + 0.02


def test_distances_are_mean_squares_over_episodes_and_steps():
    shown = ShownMotions.of([np.array([1.0, 0.5, 0.0]), np.array([1.0])], 2)
    np.testing.assert_array_equal(shown.errors, [[1.0, 0.5, 0.0], [1.0, 1.0, 1.0]])
    paths = [np.array([[1.0, 0.5, 0.0], [1.0, 0.5, 0.3]])]
    found = shown.distances(paths)
    np.testing.assert_allclose(found, [[0.09 / 6, (2 * 0.25 + 1.0 + 0.49) / 6]])
    np.testing.assert_allclose(shown.goals(np.array([0.5, 0.5])), [1.0, 0.75, 0.5])


def test_the_cost_of_following_is_lowest_on_the_goals():
    goals = np.array([1.0, 0.6, -0.2])
    gradient, curvature = follow(goals, element=1, size=3)
    state = np.zeros((2, 3))
    state[:, 1] = goals[1:]
    np.testing.assert_allclose(gradient + curvature * state, 0.0)
    moved = state + np.array([0.0, 0.1, 0.7])
    cost = gradient * moved + 0.5 * curvature * moved**2
    best = gradient * state + 0.5 * curvature * state**2
    assert (cost - best).sum() == pytest.approx(2 * 0.1**2)
