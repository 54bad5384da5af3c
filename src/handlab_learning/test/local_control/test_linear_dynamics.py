"""Fitted dynamics: they are those of linear systems, and a prior fills in a few samples."""

import numpy as np
import pytest

from handlab_learning.local_control import linear_dynamics
from handlab_learning.models.gaussian_mixture import GaussianMixture, fit_mixture

STATES, ACTIONS, STEPS = 3, 2, 4


@pytest.fixture
def system(rng):
    """A matrix (T, X, Z) and an offset (T, X) of a stable system that changes with time."""
    matrix = rng.normal(size=(STEPS, STATES, STATES + ACTIONS)) * 0.4
    return matrix, rng.normal(size=(STEPS, STATES))


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def run(system, rng, episodes, noise=0.0):
    matrix, offset = system
    states = np.empty((episodes, len(offset) + 1, STATES))
    actions = rng.normal(size=(episodes, len(offset), ACTIONS))
    states[:, 0] = rng.normal(size=(episodes, STATES))
    for t in range(len(offset)):
        z = np.concatenate((states[:, t], actions[:, t]), axis=1)
        states[:, t + 1] = z @ matrix[t].T + offset[t] + noise * rng.normal(size=(episodes, STATES))
    return states, actions


def test_the_matrices_of_a_linear_system_are_recovered(system, rng):
    fitted = linear_dynamics.fit(*run(system, rng, 50))
    np.testing.assert_allclose(fitted.matrix, system[0], atol=1e-4)
    np.testing.assert_allclose(fitted.offset, system[1], atol=1e-4)
    assert np.abs(fitted.covariance).max() < 1e-4


def test_the_noise_of_a_system_is_recovered(system, rng):
    fitted = linear_dynamics.fit(*run(system, rng, 5000, noise=0.3))
    np.testing.assert_allclose(fitted.matrix, system[0], atol=0.03)
    expected = np.tile(0.3**2 * np.eye(STATES), (STEPS, 1, 1))
    np.testing.assert_allclose(fitted.covariance, expected, atol=0.01)


def test_a_prior_recovers_a_system_from_fewer_episodes_than_elements(rng):
    """Three episodes do not determine five columns; the transitions of the other steps do."""
    matrix = np.tile(rng.normal(size=(1, STATES, STATES + ACTIONS)) * 0.4, (30, 1, 1))
    system = matrix, np.tile(rng.normal(size=(1, STATES)), (30, 1))
    states, actions = run(system, rng, 3)
    points = linear_dynamics.transitions(states, actions).reshape(-1, 2 * STATES + ACTIONS)
    prior = fit_mixture(points, 2, rng)
    with_prior = linear_dynamics.fit(states, actions, prior)
    without = linear_dynamics.fit(states, actions)
    np.testing.assert_allclose(with_prior.matrix, matrix, atol=1e-2)
    assert np.abs(without.matrix - matrix).max() > 0.1


def test_the_posterior_is_that_of_the_formula(rng):
    """One cluster: (N emp + n0 Phi + N m / (N + m) (mu - mu0)(mu - mu0)') / (N + n0)."""
    samples, strength = rng.normal(size=(1, 4, 2)), 3.0
    mu0, phi = np.array([1.0, -1.0]), np.array([[2.0, 0.5], [0.5, 1.0]])
    prior = GaussianMixture(np.ones(1), mu0[None], phi[None])
    mean, covariance = linear_dynamics.posterior(samples, prior, strength)
    mu = samples[0].mean(axis=0)
    scatter = (samples[0] - mu).T @ (samples[0] - mu)
    away = np.outer(mu - mu0, mu - mu0)
    expected = (scatter + strength * phi + 4 * strength / (4 + strength) * away) / (4 + strength)
    np.testing.assert_allclose(mean[0], mu)
    np.testing.assert_allclose(covariance[0], expected)


def test_the_number_of_clusters_follows_the_number_of_points():
    counts = [linear_dynamics.clusters(points) for points in (10, 100, 400, 10_000)]
    assert counts == [1, 2, 10, 20]
