"""Linear-quadratic regulator with a bound on the change of the controller.

Levine and Abbeel, NIPS 2014, section 4; constants from cbfinn/gps, traj_opt_lqr_python.py.

    minimise  E[cost]  subject to  KL(p(trajectory) || old p(trajectory)) <= limit

With the dual variable eta this is the unconstrained problem of maximum entropy with the cost

    cost / eta - log old p(u | x)

which the Riccati recursion solves: p(u | x) = N(K x + k, Quu^-1). Eta is found by bracketing.
"""

from dataclasses import dataclass

import numpy as np

from handlab_core.types import Array
from handlab_learning.local_control.linear_dynamics import LinearDynamics

ETA = (1e-8, 1e16)
"""Bracket of the dual variable; cbfinn/gps."""

CLOSE = 0.1
"""Relative difference from the limit of the KL divergence at which the search ends; cbfinn/gps."""

MOVE = 100.0
"""Largest factor between two values of eta."""

MOST_TRIES = 40
"""Values of eta that are tried."""


@dataclass(frozen=True)
class LinearController:
    """Time-varying linear-Gaussian controller: u ~ N(K x + k, C)."""

    gain: Array  # (T, U, X), K
    offset: Array  # (T, U), k
    covariance: Array  # (T, U, U), C


@dataclass(frozen=True)
class QuadraticCost:
    """Cost of z = (x, u): z' H z / 2 + g' z; the last row is that of the state after all steps."""

    hessian: Array  # (T + 1, Z, Z), H
    gradient: Array  # (T + 1, Z), g


@dataclass(frozen=True)
class Marginals:
    """Gaussians of z = (x, u) at each step; the action after all steps is zero."""

    mean: Array  # (T + 1, Z)
    covariance: Array  # (T + 1, Z, Z)


@dataclass(frozen=True)
class Improvement:
    """Result of one constrained improvement."""

    controller: LinearController
    eta: float
    kl: float  # of whole trajectories
    cost: float  # expected, under the model


def backward(dynamics: LinearDynamics, cost: QuadraticCost) -> LinearController:
    """Return the optimal controller by the Riccati recursion.

        Q = H + F' V F,  q = g + F' (V f + v)
        K = -Quu^-1 Qux, k = -Quu^-1 qu, C = Quu^-1

    Raises:
        LinAlgError: Quu of a step is not positive definite.
    """
    steps, states, size = dynamics.matrix.shape
    x, u = slice(states), slice(states, size)
    gain = np.empty((steps, size - states, states))
    offset = np.empty((steps, size - states))
    covariance = np.empty((steps, size - states, size - states))
    value, slope = cost.hessian[-1][x, x], cost.gradient[-1][x]
    for t in reversed(range(steps)):
        F, f = dynamics.matrix[t], dynamics.offset[t]
        Q = cost.hessian[t] + F.T @ value @ F
        q = cost.gradient[t] + F.T @ (value @ f + slope)
        np.linalg.cholesky(Q[u, u])  # raises if Quu is not positive definite
        inverse = np.linalg.inv(Q[u, u])
        covariance[t] = (inverse + inverse.T) / 2
        gain[t] = -covariance[t] @ Q[u, x]
        offset[t] = -covariance[t] @ q[u]
        value = Q[x, x] + Q[x, u] @ gain[t]
        value = (value + value.T) / 2
        slope = q[x] + Q[x, u] @ offset[t]
    return LinearController(gain, offset, covariance)


def forward(
    dynamics: LinearDynamics, controller: LinearController, start: tuple[Array, Array]
) -> Marginals:
    """Return the Gaussians of state and action at each step.

    Args:
        dynamics: of T steps.
        controller: of T steps.
        start: mean (X,) and covariance (X, X) of the first state.
    """
    steps, states, size = dynamics.matrix.shape
    mean, covariance = np.zeros((steps + 1, size)), np.zeros((steps + 1, size, size))
    m, P = start
    for t in range(steps):
        K = controller.gain[t]
        PK = P @ K.T
        mean[t] = np.concatenate((m, K @ m + controller.offset[t]))
        covariance[t] = np.block([[P, PK], [PK.T, K @ PK + controller.covariance[t]]])
        F = dynamics.matrix[t]
        m = F @ mean[t] + dynamics.offset[t]
        P = F @ covariance[t] @ F.T + dynamics.covariance[t]
        P = (P + P.T) / 2
    mean[-1, :states], covariance[-1, :states, :states] = m, P
    return Marginals(mean, covariance)


def expected_cost(cost: QuadraticCost, at: Marginals) -> float:
    """Return the expected sum of costs over Gaussians of state and action."""
    quadratic = np.einsum("ti,tij,tj->", at.mean, cost.hessian, at.mean, optimize=True)
    spread = np.einsum("tij,tji->", cost.hessian, at.covariance)
    return float(0.5 * (quadratic + spread) + (cost.gradient * at.mean).sum())


def kl_divergence(new: LinearController, old: LinearController, at: Marginals) -> float:
    """Return KL(new || old) of whole trajectories.

    The dynamics are the same, therefore it is the sum over the steps of the expected divergence of
    the actions.

    Args:
        new: controller that makes the trajectories.
        old: controller to compare with.
        at: Gaussians of the trajectories of `new`.
    """
    states = new.gain.shape[2]
    mean, covariance = at.mean[:-1, :states], at.covariance[:-1, :states, :states]
    precision = np.linalg.inv(old.covariance)
    turned = new.gain - old.gain
    moved = (turned @ mean[..., None])[..., 0] + new.offset - old.offset
    spread = turned @ covariance @ turned.transpose(0, 2, 1) + new.covariance
    trace = np.einsum("tij,tji->t", precision, spread)
    square = np.einsum("ti,tij,tj->t", moved, precision, moved)
    volume = np.linalg.slogdet(old.covariance)[1] - np.linalg.slogdet(new.covariance)[1]
    return float(0.5 * (trace + square + volume - new.offset.shape[1]).sum())


def penalised(cost: QuadraticCost, old: LinearController, eta: float) -> QuadraticCost:
    """Return cost / eta - log old p(u | x), without constants."""
    steps, _, states = old.gain.shape
    x, u = slice(states), slice(states, None)
    hessian, gradient = cost.hessian / eta, cost.gradient / eta
    precision = np.linalg.inv(old.covariance)
    turned = precision @ old.gain  # (T, U, X)
    moved = (precision @ old.offset[..., None])[..., 0]
    back = old.gain.transpose(0, 2, 1)
    hessian[:steps, u, u] += precision
    hessian[:steps, u, x] -= turned
    hessian[:steps, x, u] -= turned.transpose(0, 2, 1)
    hessian[:steps, x, x] += back @ turned
    gradient[:steps, u] -= moved
    gradient[:steps, x] += (back @ moved[..., None])[..., 0]
    return QuadraticCost(hessian, gradient)


def improve(
    dynamics: LinearDynamics,
    cost: QuadraticCost,
    old: LinearController,
    start: tuple[Array, Array],
    limit: float,
    eta: float = 1.0,
) -> Improvement:
    """Return the controller of the lowest cost within a KL divergence of the old one.

    Args:
        dynamics: model of the steps.
        cost: of the steps.
        old: controller to stay near.
        start: mean (X,) and covariance (X, X) of the first state.
        limit: largest KL divergence of whole trajectories.
        eta: first value of the dual variable, as of the last improvement.

    Raises:
        LinAlgError: no value of the dual variable makes the problem convex.
    """
    low, high = ETA
    best: Improvement | None = None
    for _ in range(MOST_TRIES):
        try:
            controller = backward(dynamics, penalised(cost, old, eta))
        except np.linalg.LinAlgError:  # only a larger eta makes Quu positive definite
            low = eta
            eta = min(np.sqrt(low * high), MOVE * eta)
            continue
        at = forward(dynamics, controller, start)
        kl = kl_divergence(controller, old, at)
        if kl <= limit:
            best = Improvement(controller, eta, kl, expected_cost(cost, at))
            high = eta
            if kl >= limit * (1 - CLOSE) or eta <= ETA[0]:
                break
        else:
            low = eta
        if high / low < 1 + CLOSE / 10:
            break
        eta = _next_eta(eta, kl / limit, low, high)
    if best is None:
        raise np.linalg.LinAlgError("no eta gives a convex problem within the limit")
    return best


def _next_eta(eta: float, ratio: float, low: float, high: float) -> float:
    """Return the next value: the KL divergence falls about with the square of eta.

    The middle of the target is a little below the limit, because only values below it count.
    """
    if not np.isfinite(ratio):
        return float(np.sqrt(low * high))
    guess = eta * float(np.clip(np.sqrt(ratio / (1 - CLOSE / 2)), 1 / MOVE, MOVE))
    if low < guess < high:
        return guess
    if guess <= low and low == ETA[0]:
        return low
    return float(np.sqrt(low * high))


def adapted(multiplier: float, predicted: float, actual: float) -> float:
    """Return the next multiplier of the KL step; cbfinn/gps, traj_opt_utils.py.

    The best step of a quadratic model of the error is `predicted / (2 (predicted - actual))` of
    the present one.

    Args:
        multiplier: the present one.
        predicted: reduction of the cost that the model predicted.
        actual: reduction that came true.
    """
    factor = predicted / (2 * max(1e-4, predicted - actual))
    return float(np.clip(multiplier * np.clip(factor, 0.1, 5.0), 0.01, 10.0))
