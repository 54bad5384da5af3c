"""From how a passive hand moved to the targets that would have moved it so.

A person's hand pushes a finger that is let go; the recorded positions show where the finger went
and not how hard it was pushed. A servo that is told a target pushes by its stiffness:

    losses qd + load = stiffness (target - q)

Held for a control period T, such a target moves a joint that is nowhere near its inertia's limit by
a part of the way, 1 - exp(-stiffness T / losses), towards `target - load / stiffness`. So the
target that would have moved it from q to q' is

    target = q + (q' - q) / (1 - exp(-stiffness T / losses)) + load / stiffness

The load is what the object takes up. Which finger pushed it, nobody has measured; but what the
object took up, the fingers gave: sum(load qd) = resistance x object's velocity. Of all loads that
do, the smallest is the one along the joints' own velocity.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture
from handlab_core.types import Array

LEAST_MOTION = 0.02
"""rad in a control period, Euclidean over the joints: hands that move less push nothing."""


@dataclass(frozen=True)
class Travel:
    """Consecutive states of one demonstration, one control period apart."""

    q: Array  # (T + 1, n) rad
    angle: Array  # (T + 1,) rad, of the object
    period: float  # s


def next_position(hand: Hand, fixture: Fixture, travel: Travel) -> Array:
    """The next position itself, as if servos arrived at once. (T, n) rad."""
    return travel.q[1:]


def servo(hand: Hand, fixture: Fixture, travel: Travel) -> Array:
    """What moves a servo that nothing resists but its own losses. (T, n) rad."""
    losses = hand.losses + hand.damping
    part = 1.0 - np.exp(-hand.stiffness * travel.period / losses)
    target: Array = travel.q[:-1] + np.diff(travel.q, axis=0) / part
    return target


def loaded_servo(hand: Hand, fixture: Fixture, travel: Travel) -> Array:
    """What moves a servo that turns the object, too. (T, n) rad."""
    moved, turned = np.diff(travel.q, axis=0), np.diff(travel.angle)
    speed = np.abs(turned) / travel.period
    resistance = fixture.damping * speed + fixture.friction * np.tanh(speed / SLOW)
    given = resistance * np.abs(turned)  # N m rad in each period
    squares = np.square(moved).sum(axis=1)
    share = np.where(squares > LEAST_MOTION**2, given / np.maximum(squares, LEAST_MOTION**2), 0.0)
    load = share[:, None] * moved
    return servo(hand, fixture, travel) + load / hand.stiffness


SLOW = 0.05
"""rad/s, below which dry friction is not at its full size."""

INFERENCES: dict[str, Callable[[Hand, Fixture, Travel], Array]] = {
    "next_position": next_position,
    "servo": servo,
    "loaded_servo": loaded_servo,
}
"""Ways to infer targets, by name; `./handlab bench inference` measures them."""
