"""Quadratic models of a task's reward around the states of episodes.

Rewards have kinks and steps, as a bonus near the goal, where derivatives are zero or infinite. The
model is that of the reward blurred by a Gaussian: for a change d ~ N(0, s) of one element,

    slope     = E[r(x + d) d] / s^2
    curvature = E[r(x + d) (d^2 / s^2 - 1)] / s^2        (Stein, Annals of Statistics 9, 1981)

by Gauss-Hermite quadrature: finite differences over a finite width. They are exact for quadratic
rewards. Curvatures are taken along the axes only and made convex, so that the Riccati recursion
always has a solution.

A reward that is not known as a function of the state is fitted: least squares over all steps with a
ridge, again with curvatures along the axes.
"""

from collections.abc import Callable

import numpy as np

from handlab_core.types import Array
from handlab_learning.local_control.lqr import QuadraticCost

NODES = 15
"""Nodes of the quadrature: their distance is below the width of a bonus at the usual blur."""


def expand(reward: Callable[[Array], Array], states: Array, blur: Array) -> tuple[Array, Array]:
    """Return slope and curvature of the cost along each axis, at states (..., X); (..., X) each.

    Args:
        reward: function of states (..., X), the negative cost.
        states: (..., X).
        blur: (X,), standard deviation of the Gaussian in each element.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    slope, curvature = np.empty_like(states), np.empty_like(states)
    moved = np.repeat(states[None], NODES, axis=0)
    for i, width in enumerate(blur):
        moved[..., i] += (nodes * width).reshape(-1, *[1] * (states.ndim - 1))
        values = reward(moved)
        moved[..., i] = states[..., i]
        slope[..., i] = -np.tensordot(weights * nodes, values, 1) / width
        curvature[..., i] = -np.tensordot(weights * (nodes**2 - 1), values, 1) / width**2
    return slope, curvature


def around(states: Array, slope: Array, curvature: Array) -> tuple[Array, Array]:
    """Return the mean of the models at N states, for each step.

        sum over n of g_n' (x - x_n) + (x - x_n)' H_n (x - x_n) / 2

    Args:
        states: (N, T, X).
        slope: (N, T, X), g.
        curvature: (N, T, X), diagonal of H; negative elements count as zero.

    Returns:
        Gradient (T, X) at x = 0, and diagonal of the Hessian (T, X).
    """
    convex = np.maximum(curvature, 0.0)
    return (slope - convex * states).mean(axis=0), convex.mean(axis=0)


def fitted(states: Array, actions: Array, costs: Array, ridge: float = 1.0) -> tuple[Array, Array]:
    """Fit one model of the costs of all steps: gradient (X,) at x = 0, diagonal Hessian (X,).

    Args:
        states: (B, X), after the steps.
        actions: (B, U); they take part in the fit, so that their cost is not that of the state.
        costs: (B,).
        ridge: weight of the squares of the coefficients, in samples.
    """
    inputs = np.concatenate((states, actions), axis=1)
    middle, unit = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-6)
    z = (inputs - middle) / unit
    features = np.concatenate((z, z**2 - 1), axis=1)
    features = features - features.mean(axis=0)
    normal = features.T @ features + ridge * np.eye(features.shape[1])
    found = np.linalg.solve(normal, features.T @ (costs - costs.mean()))
    size = states.shape[1]
    linear, square = found[:size] / unit[:size], found[z.shape[1] :][:size] / unit[:size] ** 2
    curvature = np.maximum(2 * square, 0.0)
    return linear - curvature * middle[:size], curvature


def quadratic(gradient: Array, curvature: Array, actions: int, action_cost: float) -> QuadraticCost:
    """Build the cost of T steps from models of the states after them.

    Args:
        gradient: (T, X), at x = 0.
        curvature: (T, X), diagonal of the Hessian.
        actions: size of an action, U.
        action_cost: weight of u^2 / 2 in each step; keeps actions in their range.
    """
    steps, states = gradient.shape
    size = states + actions
    hessian, slope = np.zeros((steps + 1, size, size)), np.zeros((steps + 1, size))
    x, u = np.arange(states), np.arange(states, size)
    hessian[1:, x, x], slope[1:, x] = curvature, gradient
    hessian[:-1, u, u] = action_cost
    return QuadraticCost(hessian, slope)
