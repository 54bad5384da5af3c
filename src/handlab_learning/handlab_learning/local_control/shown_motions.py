"""Motions of an object that were shown, and the controllers that follow them.

Gupta, Eppner, Levine and Abbeel, "Learning dexterous manipulation for a soft robotic hand from
human demonstrations", IROS 2016 (arXiv:1603.06348): only the object is watched, not the hand that
moves it. A controller follows the motions that are assigned to it, and a motion that no controller
comes near is assigned to none. The assignment is that of a variational bound of the divergence
between two mixtures, the controllers and the motions (Hershey and Olsen, ICASSP 2007):

    minimise over a, b:  sum of a_cd (log(a_cd / b_cd) + D_cd)

where a_cd is the share of motion d in what controller c follows, b_cd the share of controller c in
motion d, and D_cd the divergence of their Gaussians. Both updates are in closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handlab_core.types import Array

ROUNDS = 50
"""Updates of both shares; they settle within some tens."""

LEAST_WIDTH = 1e-3
"""rad; smallest standard deviation of the Gaussians."""


@dataclass(frozen=True)
class ShownMotions:
    """Errors of the object at each step of D motions."""

    errors: Array  # (D, T + 1), rad

    @classmethod
    def of(cls, motions: Sequence[Array], steps: int) -> "ShownMotions":
        """Build from motions of other lengths: the last error of a short one repeats.

        Args:
            motions: errors of the object (T_d + 1,), rad each.
            steps: of an episode, T.
        """
        rows = [m[np.minimum(np.arange(steps + 1), len(m) - 1)] for m in motions]
        return cls(np.stack(rows))

    def distances(self, paths: Sequence[Array]) -> Array:
        """Return the mean square distance of each controller from each motion, (C, D), rad^2.

        Args:
            paths: errors of the object (N, T + 1) in the episodes of each controller.
        """
        return np.stack([np.square(own[:, None] - self.errors).mean(axis=(0, 2)) for own in paths])

    def goals(self, shares: Array) -> Array:
        """Return the mean of the motions that a controller follows, (T + 1,).

        Args:
            shares: (D,), of the motions; they add up to 1.
        """
        goals: Array = shares @ self.errors
        return goals


def assigned(distances: Array) -> Array:
    """Return the shares of the motions in what each controller follows, (C, D); rows add up to 1.

    The width of the Gaussians is the distance of the nearest pair: the controllers cannot come
    nearer to motions at present, and motions that are much further away are not within reach.

    Args:
        distances: (C, D), mean squares in rad^2.
    """
    width = max(float(distances.min()), LEAST_WIDTH**2)
    divergence = distances / (2 * width)
    shares = np.full(distances.shape, 1 / distances.shape[1])  # a
    for _ in range(ROUNDS):
        back = shares / shares.sum(axis=0)  # b: each motion is shared among the controllers
        weight = back * np.exp(divergence.min(axis=1, keepdims=True) - divergence)
        shares = np.maximum(weight / weight.sum(axis=1, keepdims=True), 1e-12)
    normal: Array = shares / shares.sum(axis=1, keepdims=True)
    return normal


def follow(goals: Array, element: int, size: int) -> tuple[Array, Array]:
    """Return the quadratic cost of the distance from goals, as of the states after T steps.

    Args:
        goals: (T + 1,), errors of the object; the first is that of the start.
        element: number of the error in the state.
        size: of the state, X.

    Returns:
        Gradient (T, X) at a state of zeros, and diagonal of the Hessian (T, X).
    """
    gradient, curvature = np.zeros((2, len(goals) - 1, size))
    gradient[:, element], curvature[:, element] = -2 * goals[1:], 2.0
    return gradient, curvature
