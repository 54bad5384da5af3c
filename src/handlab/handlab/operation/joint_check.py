"""First motion of a hand: one joint at a time, small and slow, confirmed by a person.

The motors measure whether the joint moves at all, and how far. Only a person can see whether it is
the joint of that name, and whether it moves in the direction of the description.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from handlab.operation.motion import hold, move
from handlab.operation.operated_hand import OperatedHand
from handlab_core.errors import HandStopped
from handlab_core.estimation.quaternions import Vector
from handlab_core.hands import Hand
from handlab_core.hands.kinematics import KinematicTree

TRAVEL = math.radians(10.0)
"""rad; motion of each joint; chosen: plain to see, and far from the other fingers."""

LEAST = 0.5
"""Fraction of the motion below which a joint counts as blocked; chosen: a limp servo moves nothing,
and gravity takes away a few degrees."""

RIGHT, OTHER_JOINT, OTHER_WAY, AGAIN = "y", "n", "d", "r"
"""Answers of a person."""

QUESTION = (
    f"{RIGHT}: it moved like that; {OTHER_WAY}: the other way; {OTHER_JOINT}: another joint moved; "
    f"{AGAIN}: again"
)


@dataclass(frozen=True)
class JointCheck:
    """Result of one joint."""

    joint: str
    asked: float = 0.0  # rad
    moved: float = 0.0  # rad
    problem: str = ""
    """Sentence with the remedy; empty: the joint is as it must be."""
    confirmed: bool = False
    """Whether a person has confirmed name and direction."""


def check_joint(
    hand: OperatedHand,
    joint: str,
    say: Callable[[str], None],
    answer: Callable[[], str] | None,
    stopped: Callable[[], bool] = lambda: False,
) -> JointCheck:
    """Move one joint and back; the others are released.

    Args:
        hand: the hand.
        joint: name of the joint.
        say: shows the operator a line.
        answer: returns the next key of the operator, or an empty text; None: no person is asked.
        stopped: whether the operator has stopped the hand.

    Raises:
        HandStopped: the operator has stopped the hand.
        StationFault: the hand cannot be moved.
    """
    index, start = hand.hand.index(joint), hand.position(joint)
    lower, upper = hand.hand.lower[index], hand.hand.upper[index]
    if not lower - TRAVEL <= start <= upper + TRAVEL:
        degrees = [round(math.degrees(value)) for value in (start, lower, upper)]
        return JointCheck(
            joint,
            problem=f"stands at {degrees[0]} degrees, outside of its range of {degrees[1]} to "
            f"{degrees[2]}: turn it into its range by hand, or calibrate",
        )
    travel = TRAVEL if start + TRAVEL <= upper else -TRAVEL
    while True:
        say(f"{joint}: {direction(hand.hand, joint, start, travel)}")
        sagged = move(hand, joint, start, True, stopped)  # gravity pulls a held joint a little down
        moved = move(hand, joint, start + travel, True, stopped, start) - sagged
        key = _answer(hand, joint, start + travel, answer, stopped)
        move(hand, joint, start, True, stopped, start + travel)
        if key != AGAIN:
            break
    problem = ""
    if moved * travel < 0.0 or abs(moved) < LEAST * abs(travel):
        problem = (
            f"moved by {math.degrees(moved):.1f} degrees instead of {math.degrees(travel):.0f}: "
            "it is blocked, or its servo is too weak for the load"
        )
    elif key == OTHER_WAY:
        problem = "moved the other way: change the sign of its `direction` in the station file"
    elif key == OTHER_JOINT:
        problem = "is not the joint that moved: exchange the ids in the station file"
    return JointCheck(joint, travel, moved, problem, key == RIGHT)


def _answer(
    hand: OperatedHand,
    joint: str,
    target: float,
    answer: Callable[[], str] | None,
    stopped: Callable[[], bool],
) -> str:
    """Hold the joint until the person has answered; return the key."""
    if answer is None:
        return ""
    keys: list[str] = []

    def answered() -> bool:
        if stopped():
            raise HandStopped
        key = answer()
        if key in (RIGHT, OTHER_JOINT, OTHER_WAY, AGAIN):
            keys.append(key)
        return bool(keys)

    hold(hand, joint, target, True, answered)
    return keys[0]


def direction(hand: Hand, joint: str, start: float, travel: float) -> str:
    """Return in words how a joint moves, with all other joints at zero.

    Args:
        hand: description of the hand.
        joint: name of the joint.
        start: rad; position before the motion.
        travel: rad; motion.
    """
    from handlab_sim.urdf import urdf_string

    by = f"{math.degrees(travel):+.0f} degrees"
    tree = KinematicTree(urdf_string(hand.urdf))
    tips = {tip: tree.link_pose(tip, {joint: start}).position for tip in hand.fingertips}
    moved = {
        tip: _minus(tree.link_pose(tip, {joint: start + travel}).position, before)
        for tip, before in tips.items()
    }
    tip = max(moved, key=lambda name: _length(moved[name]))
    if _length(moved[tip]) < 1e-6:
        return f"it turns by {by}"
    others = [position for name, position in tips.items() if name != tip] or [(0.0, 0.0, 0.0)]
    x, y, z = (sum(values) / len(others) for values in zip(*others, strict=True))
    words = _words(moved[tip], _minus((x, y, z), tips[tip]))
    return f"{tip} moves {words}, {1000 * _length(moved[tip]):.0f} mm ({by})"


def _words(motion: Vector, inward: Vector) -> str:
    """Return the main parts of a motion, in words.

    Args:
        motion: m; of a fingertip.
        inward: m; from the fingertip to the middle of the others.
    """
    x, y, _ = inward
    flat = math.hypot(x, y) or 1.0
    toward = (motion[0] * x + motion[1] * y) / flat
    # Seen from above a turn to the left about the middle is counter-clockwise.
    around = (motion[0] * y - motion[1] * x) / flat
    parts = {
        "toward the other fingers" if toward > 0 else "away from the other fingers": toward,
        "counter-clockwise from above" if around > 0 else "clockwise from above": around,
        "up" if motion[2] > 0 else "down": motion[2],
    }
    most = max(abs(value) for value in parts.values())
    main = [word for word, value in parts.items() if abs(value) > 0.5 * most]
    return " and ".join(main)


def _minus(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _length(a: Vector) -> float:
    return math.sqrt(sum(value * value for value in a))
