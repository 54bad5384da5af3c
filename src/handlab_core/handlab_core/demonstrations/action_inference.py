"""Inference of actions: targets that would have moved an engaged hand as a passive hand moved.

A person pushes a released finger; the recorded positions show its motion, but not the force. A
servo with a target pushes by its stiffness:

    losses qd + load = stiffness (target - q)

In a control period T, and with negligible inertia, the joint covers the fraction
1 - exp(-stiffness T / losses) of the way towards `target - load / stiffness`. Therefore the target
that would have moved it from q to q' is

    target = q + (q' - q) / (1 - exp(-stiffness T / losses)) + load / stiffness

The load is the torque that the object takes up. Its distribution over the fingers is not measured,
but its power is known: sum(load qd) = resistance x object's velocity. The smallest load with this
power is parallel to the joints' velocity.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture
from handlab_core.types import Array

LEAST_MOTION = 0.02
"""rad; Euclidean motion of the joints in a control period below which the load is zero."""


@dataclass(frozen=True)
class Travel:
    """Consecutive states of one demonstration, one control period apart."""

    q: Array  # (T + 1, n) rad
    angle: Array  # (T + 1,) rad; angle of the object
    period: float  # s; control period


def next_position(hand: Hand, fixture: Fixture, travel: Travel) -> Array:
    """Return the next positions, as if servos arrived at once; (T, n) rad."""
    return travel.q[1:]


def servo(hand: Hand, fixture: Fixture, travel: Travel) -> Array:
    """Return targets for servos that only their own losses resist; (T, n) rad."""
    losses = hand.losses + hand.damping
    part = 1.0 - np.exp(-hand.stiffness * travel.period / losses)
    target: Array = travel.q[:-1] + np.diff(travel.q, axis=0) / part
    return target


def loaded_servo(hand: Hand, fixture: Fixture, travel: Travel) -> Array:
    """Return targets for servos that also turn the object; (T, n) rad."""
    moved, turned = np.diff(travel.q, axis=0), np.diff(travel.angle)
    speed = np.abs(turned) / travel.period
    resistance = fixture.damping * speed + fixture.friction * np.tanh(speed / SLOW)
    given = resistance * np.abs(turned)  # N m rad in each period
    squares = np.square(moved).sum(axis=1)
    share = np.where(squares > LEAST_MOTION**2, given / np.maximum(squares, LEAST_MOTION**2), 0.0)
    load = share[:, None] * moved
    return servo(hand, fixture, travel) + load / hand.stiffness


SLOW = 0.05
"""rad/s; speed below which dry friction is smaller than its full value."""

INFERENCES: dict[str, Callable[[Hand, Fixture, Travel], Array]] = {
    "next_position": next_position,
    "servo": servo,
    "loaded_servo": loaded_servo,
}
"""Inference methods by name; `./handlab bench inference` measures them."""

DEFAULT_INFERENCE = "loaded_servo"
"""Name of the method for recordings and interventions."""
