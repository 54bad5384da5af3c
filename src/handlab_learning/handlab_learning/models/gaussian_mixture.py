"""Mixture of Gaussians with full covariances, fitted by expectation and maximisation.

Dempster, Laird and Rubin, Journal of the Royal Statistical Society B 39, 1977.
"""

from dataclasses import dataclass

import numpy as np

from handlab_core.types import Array

LEAST_VARIANCE = 1e-6
"""Variance added to every element of a cluster; cbfinn/gps, gmm.py."""

TOLERANCE = 1e-3
"""Gain of the mean log likelihood at which the fit ends."""

LEAST_SHARE = 1e-6
"""Responsibility below which a point does not count; most points belong to one cluster."""


@dataclass(frozen=True)
class GaussianMixture:
    """K Gaussians over D elements."""

    weights: Array  # (K,)
    means: Array  # (K, D)
    covariances: Array  # (K, D, D)

    def log_joint(self, points: Array) -> Array:
        """Return log p(cluster, point) for points (B, D); (B, K)."""
        size = points.shape[1]
        columns = []
        for weight, mean, covariance in zip(
            self.weights, self.means, self.covariances, strict=True
        ):
            factor = np.linalg.cholesky(covariance)
            scaled = (points - mean) @ np.linalg.inv(factor).T
            squares = np.einsum("bd,bd->b", scaled, scaled)
            log_volume = np.log(np.diag(factor)).sum()
            constant = np.log(max(weight, 1e-300)) - log_volume - 0.5 * size * np.log(2 * np.pi)
            columns.append(constant - 0.5 * squares)
        return np.stack(columns, axis=1)

    def responsibilities(self, points: Array) -> Array:
        """Return p(cluster | point) for points (B, D); (B, K)."""
        joint = self.log_joint(points)
        result: Array = np.exp(joint - _log_sum(joint))
        return result

    def blended(self, weights: Array) -> tuple[Array, Array]:
        """Return mean (M, D) and covariance (M, D, D) of mixtures with other weights, (M, K)."""
        mean = weights @ self.means
        size = self.means.shape[1]
        seconds = self.covariances + self.means[:, :, None] * self.means[:, None, :]
        second = (weights @ seconds.reshape(len(seconds), -1)).reshape(-1, size, size)
        return mean, second - mean[:, :, None] * mean[:, None, :]


def fit_mixture(
    points: Array, clusters: int, rng: np.random.Generator, iterations: int = 10
) -> GaussianMixture:
    """Fit a mixture to points (B, D).

    Every point first belongs to the nearest one of K random points.

    Args:
        points: at least as many as clusters.
        clusters: number of clusters, K.
        rng: chooses the first centres.
        iterations: largest number of iterations.
    """
    centres = points[rng.choice(len(points), clusters, replace=False)]
    distances = np.square(points).sum(1)[:, None] - 2 * points @ centres.T
    distances = distances + np.square(centres).sum(1)
    belongs = np.eye(clusters)[distances.argmin(axis=1)]
    mixture = _maximised(points, belongs)
    before = -np.inf
    for _ in range(iterations):
        joint = mixture.log_joint(points)
        evidence = _log_sum(joint)
        mixture = _maximised(points, np.exp(joint - evidence))
        if (likelihood := float(evidence.mean())) - before < TOLERANCE:
            break
        before = likelihood
    return mixture


def _log_sum(joint: Array) -> Array:
    """Return the logarithm of the sum of exponentials of each row (B, K), (B, 1)."""
    highest = joint.max(axis=1, keepdims=True)
    total: Array = highest + np.log(np.exp(joint - highest).sum(axis=1, keepdims=True))
    return total


def _maximised(points: Array, belongs: Array) -> GaussianMixture:
    """Return the mixture of largest likelihood for responsibilities (B, K)."""
    size = points.shape[1]
    counts = belongs.sum(axis=0)
    means = (belongs.T @ points) / np.maximum(counts, 1e-12)[:, None]
    covariances = np.empty((len(counts), size, size))
    for k, (count, mean) in enumerate(zip(counts, means, strict=True)):
        own = belongs[:, k] > LEAST_SHARE
        centred = (points[own] - mean) * np.sqrt(belongs[own, k])[:, None]
        covariances[k] = centred.T @ centred / max(count, 1e-12)
    covariances += LEAST_VARIANCE * np.eye(size)
    return GaussianMixture(counts / counts.sum(), means, covariances)
