"""Mixtures of Gaussians: they find clusters, and their moments are those of their points."""

import numpy as np

from handlab_learning.models.gaussian_mixture import GaussianMixture, fit_mixture


def test_two_clusters_are_found_with_their_weights_and_shapes():
    rng = np.random.default_rng(0)
    shape = np.array([[0.5, 0.3], [0.3, 0.4]])
    one = rng.multivariate_normal([-4.0, 0.0], shape, 3000)
    two = rng.multivariate_normal([4.0, 1.0], np.eye(2), 1000)
    mixture = fit_mixture(np.concatenate((one, two)), 2, rng, iterations=50)
    order = np.argsort(mixture.means[:, 0])
    np.testing.assert_allclose(mixture.weights[order], [0.75, 0.25], atol=0.01)
    np.testing.assert_allclose(mixture.means[order], [[-4.0, 0.0], [4.0, 1.0]], atol=0.1)
    np.testing.assert_allclose(mixture.covariances[order], [shape, np.eye(2)], atol=0.1)


def test_a_fit_does_not_lower_the_likelihood():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(300, 3)) * [1.0, 2.0, 0.1] + rng.integers(0, 2, (300, 1))

    def likelihood(iterations):
        mixture = fit_mixture(points, 3, np.random.default_rng(0), iterations)
        return np.logaddexp.reduce(mixture.log_joint(points), axis=1).mean()

    values = [likelihood(iterations) for iterations in (0, 1, 2, 5, 20)]
    assert (np.diff(values) > -1e-6).all() and values[-1] > values[0]


def test_responsibilities_follow_bayes_rule():
    mixture = GaussianMixture(
        np.array([0.8, 0.2]), np.array([[0.0], [2.0]]), np.array([[[1.0]], [[4.0]]])
    )
    at = np.array([[1.0]])
    densities = 0.8 * np.exp(-0.5), 0.2 * np.exp(-0.125) / 2.0
    expected = np.array([densities]) / sum(densities)
    np.testing.assert_allclose(mixture.responsibilities(at), expected)


def test_blended_clusters_have_the_moments_of_their_points():
    """Of points in two clusters, each a weight: mean and covariance of all points."""
    rng = np.random.default_rng(2)
    parts = [rng.normal(size=(100, 2)), rng.normal(size=(300, 2)) + np.array([3.0, -1.0])]
    mixture = GaussianMixture(
        np.array([0.5, 0.5]),
        np.stack([part.mean(axis=0) for part in parts]),
        np.stack([np.cov(part.T, bias=True) for part in parts]),
    )
    mean, covariance = mixture.blended(np.array([[0.25, 0.75]]))
    every = np.concatenate(parts)
    np.testing.assert_allclose(mean[0], every.mean(axis=0))
    np.testing.assert_allclose(covariance[0], np.cov(every.T, bias=True))
