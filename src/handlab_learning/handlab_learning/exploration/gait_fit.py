"""Fit a gait to demonstrations that do not solve a task, for example because they are too slow.

A person who moves the fingers repeats strokes. The sinusoids that come nearest to all of the shown
actions are a gait, which goes on for as long as the object is not at its goal, and at any speed.
"""

from collections.abc import Sequence

import numpy as np

from handlab_core.environment.episode import Episode
from handlab_core.environment.policies.gait_policy import SLOWER
from handlab_core.tasks.sizes import Fingers
from handlab_core.types import Array
from handlab_learning.exploration.gait_search import LIMITS

FACTORS = 1.0, 1.25, 1.5, 2.0
"""Speeds of the gaits, in units of the speed that was shown."""

FREQUENCIES = 76
"""Number of frequencies that are compared."""

WIDEST = 0.95
"""Largest absolute offset, before the inverse of the hyperbolic tangent."""

SHORTEST = 10
"""Steps of a demonstration; shorter ones show no stroke."""


def gaits_like(shown: Sequence[Episode], fingers: Fingers) -> list[Array]:
    """Return the numbers of gaits that move as was shown, one for each of the FACTORS.

    The fit is least squares of one frequency, and of an offset, a sine and a cosine for each
    joint. All demonstrations begin at the same phase. Steps near the goal are left out, where
    hands slow down.

    Args:
        shown: the demonstrations; without any of SHORTEST steps the list is empty.
        fingers: of the task.
    """
    moving = [steps for steps in map(_far_actions, shown) if len(steps) >= SHORTEST]
    if not moving:
        return []
    actions = np.concatenate(moving)
    step = np.concatenate([np.arange(len(each)) for each in moving])

    def fitted(frequency: float) -> tuple[float, Array]:
        """Return the squared residual, and offset, sine and cosine of each joint, (3, A)."""
        phase = 2 * np.pi * frequency * fingers.period * step
        columns = np.stack((np.ones(len(step)), np.sin(phase), np.cos(phase)), axis=1)
        parts, *_ = np.linalg.lstsq(columns, actions, rcond=None)
        return float(np.square(actions - columns @ parts).sum()), parts

    frequencies = np.geomspace(*LIMITS, FREQUENCIES)
    best = min(frequencies, key=lambda frequency: fitted(frequency)[0])
    offset, sine, cosine = fitted(best)[1]
    like = _numbers(fingers, offset, sine + 1j * cosine)
    return [np.concatenate((like[:-1], [np.log(factor * best)], like[-1:])) for factor in FACTORS]


def _far_actions(episode: Episode) -> Array:
    """Return the actions before the object comes near the goal, (T', A)."""
    near = np.abs(episode.trajectory.errors) < SLOWER
    return episode.trajectory.actions[: int(near.argmax()) if near.any() else episode.steps]


def _numbers(fingers: Fingers, offset: Array, swing: Array) -> Array:
    """Return the numbers of a gait without its frequency: those of alike joints are means.

    Args:
        fingers: of the task.
        offset: (A,).
        swing: (A,) complex; amplitude and lead.
    """
    joint, finger = np.array(fingers.joint), np.array(fingers.finger)
    after = np.array([
        swing[i] * swing[k].conj()
        for i in range(len(joint)) for k in range(len(joint))
        if joint[i] == joint[k] and finger[i] == finger[k] + 1
    ])  # fmt: skip
    delay = float(np.angle(after.sum()) / (2 * np.pi)) if len(after) else 0.0
    first = swing * np.exp(-2j * np.pi * delay * finger)
    count = int(joint.max()) + 1
    own = [joint == number for number in range(count)]
    middle = np.array([offset[mask].mean() for mask in own])
    mean = np.array([first[mask].mean() for mask in own])
    centre = np.arctanh(np.clip(middle, -WIDEST, WIDEST))
    return np.concatenate((centre, np.abs(mean), np.angle(mean) / np.pi, [delay]))
