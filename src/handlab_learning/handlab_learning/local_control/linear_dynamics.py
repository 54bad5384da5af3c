"""Time-varying linear-Gaussian dynamics, fitted to a few episodes.

Levine and Abbeel, "Learning neural network policies with guided policy search under unknown
dynamics", NIPS 2014, section 3; constants from cbfinn/gps, dynamics_lr_prior.py.

    x_t+1 ~ N(F_t (x_t, u_t) + f_t, S_t)

Each step has its own model. The few samples of one step would not determine it: the joint Gaussian
of (x, u, x') has a normal-inverse-Wishart prior, which is a mixture of Gaussians over the
transitions of all steps and recent episodes.
"""

from dataclasses import dataclass

import numpy as np

from handlab_core.types import Array
from handlab_learning.models.gaussian_mixture import GaussianMixture

REGULARISATION = 1e-6
"""Variance added to the joint covariance before it is conditioned; cbfinn/gps."""


@dataclass(frozen=True)
class LinearDynamics:
    """Dynamics of T steps; Z = X + U."""

    matrix: Array  # (T, X, Z), F
    offset: Array  # (T, X), f
    covariance: Array  # (T, X, X), S


def transitions(states: Array, actions: Array) -> Array:
    """Return (x, u, x') of all steps, (T, N, 2 X + U).

    Args:
        states: (N, T + 1, X).
        actions: (N, T, U).
    """
    joined = np.concatenate((states[:, :-1], actions, states[:, 1:]), axis=2)
    return joined.transpose(1, 0, 2)


def clusters(points: int, most: int = 20, least_points: int = 40) -> int:
    """Return the number of clusters of the prior; cbfinn/gps, dynamics_prior_gmm.py.

    Args:
        points: number of transitions.
        most: largest number of clusters.
        least_points: points of a cluster.
    """
    return max(1, min(most, points // least_points))


def posterior(
    samples: Array, prior: GaussianMixture | None, strength: float
) -> tuple[Array, Array]:
    """Return mean (T, D) and covariance (T, D, D) of the joint Gaussian of each step.

    The covariance is the mode of the normal-inverse-Wishart posterior (Gelman et al., Bayesian Data
    Analysis, section 3.6), as in cbfinn/gps:

        (N emp + n0 Phi + N m / (N + m) (mu - mu0)(mu - mu0)') / (N + n0)

    The mean is that of the samples: the model of a step passes through them.

    Args:
        samples: (T, N, D), transitions.
        prior: gives mu0 and Phi, by the clusters to which a step's samples belong; None: no prior.
        strength: m and n0, the number of samples that the prior is worth.
    """
    steps, count, size = samples.shape
    mean = samples.mean(axis=1)
    centred = samples - mean[:, None]
    scatter = centred.transpose(0, 2, 1) @ centred
    if prior is None:
        return mean, scatter / count
    shares = prior.responsibilities(samples.reshape(-1, size)).reshape(steps, count, -1)
    prior_mean, prior_covariance = prior.blended(shares.mean(axis=1))
    away = mean - prior_mean
    shift = count * strength / (count + strength) * away[:, :, None] * away[:, None, :]
    return mean, (scatter + strength * prior_covariance + shift) / (count + strength)


def conditioned(mean: Array, covariance: Array, states: int) -> LinearDynamics:
    """Return p(x' | x, u) of joint Gaussians over (x, u, x').

    Args:
        mean: (T, D).
        covariance: (T, D, D).
        states: size of the state, X.
    """
    split = mean.shape[1] - states
    covariance = covariance + REGULARISATION * np.eye(mean.shape[1])
    given, cross = covariance[:, :split, :split], covariance[:, :split, split:]
    matrix: Array = np.asarray(np.linalg.solve(given, cross), dtype=np.float64).transpose(0, 2, 1)
    offset = mean[:, split:] - (matrix @ mean[:, :split, None])[..., 0]
    rest = covariance[:, split:, split:] - matrix @ cross
    return LinearDynamics(matrix, offset, (rest + rest.transpose(0, 2, 1)) / 2)


def fit(
    states: Array, actions: Array, prior: GaussianMixture | None = None, strength: float = 1.0
) -> LinearDynamics:
    """Fit the dynamics of each step.

    Args:
        states: (N, T + 1, X), of N episodes.
        actions: (N, T, U).
        prior: over transitions; None: least squares, which needs more episodes than elements.
        strength: number of samples that the prior is worth.
    """
    mean, covariance = posterior(transitions(states, actions), prior, strength)
    return conditioned(mean, covariance, states.shape[2])
