"""Slow motion of single joints, in small steps that a person can interrupt."""

import math
import time
from collections.abc import Callable

from handlab.operation.operated_hand import OperatedHand
from handlab_core.errors import HandStopped

SPEED = 0.3
"""rad/s; speed of a jog, 17 degrees a second; chosen: slow enough to be followed by a finger."""

PERIOD = 0.05
"""s; time between two steps; a hand without a step is held after 0.3 s, and then released."""

CLOSE = math.radians(1.5)
"""rad; distance from the target at which a joint has arrived; chosen."""

SETTLE, STILL = 1.0, math.radians(0.1)
"""s and rad; a joint that moved less in this time does not come closer: gravity, or a block. Steps
without a new reading do not count: a joint whose motor is silent may be moving."""

PATIENCE = 6.0
"""s; longest time from the end of a motion to the reading of the position."""


def toward(goal: float, wanted: float) -> float:
    """Return the goal, rad, after one step of a jog toward the wanted position."""
    return goal + min(max(wanted - goal, -SPEED * PERIOD), SPEED * PERIOD)


def move(
    hand: OperatedHand,
    joint: str,
    target: float,
    alone: bool,
    stopped: Callable[[], bool] = lambda: False,
    origin: float | None = None,
) -> float:
    """Move a joint to a position and return the position that it reached, rad.

    Args:
        hand: the hand.
        joint: name of the joint.
        target: rad.
        alone: release the other joints.
        stopped: whether the operator has stopped the hand.
        origin: rad; target from which the motion begins; None: the measured position. A joint that
            is held against a load stands a little beside its target.

    Raises:
        HandStopped: the operator has stopped the hand.
        StationFault: the hand cannot be moved.
    """
    goal = hand.position(joint) if origin is None else origin
    count = max(1, math.ceil(abs(target - goal) / (SPEED * PERIOD)))
    seen: list[float] = []
    measured_at = -math.inf
    recent = math.ceil(SETTLE / PERIOD)
    for step in range(1, count + math.ceil(PATIENCE / PERIOD) + 1):
        if stopped():
            raise HandStopped
        hand.check()
        part = min(step / count, 1.0)
        hand.step(joint, goal + part * (target - goal), alone)
        time.sleep(PERIOD)
        here = hand.position(joint)
        before, measured_at = measured_at, hand.measured_at()
        if measured_at <= before:
            continue
        # Readings from before the end of the motion do not show whether the joint has arrived.
        seen = [*seen, here] if step > count else []
        still = len(seen) > recent and max(seen[-recent:]) - min(seen[-recent:]) < STILL
        if seen and (abs(here - target) < CLOSE or still):
            break
    return here


def hold(
    hand: OperatedHand, joint: str, target: float, alone: bool, done: Callable[[], bool]
) -> None:
    """Hold a joint at a position until `done()`; see `move`."""
    while not done():
        hand.check()
        hand.step(joint, target, alone)
        time.sleep(PERIOD)
