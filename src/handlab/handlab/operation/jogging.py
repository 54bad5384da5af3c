"""Jog of a hand by keys."""

import math
import time

from handlab.operation.motion import PERIOD, toward
from handlab.operation.operated_hand import OperatedHand
from handlab.operation.stop_key import StopKey
from handlab.reporting.terminal import console, show

NEXT, LAST, MORE, LESS, END = "]", "[", "+", "-", "q"

HELP = f"{LAST} {NEXT}: choose a joint; {LESS} {MORE}: move it by {{step:.0f}} degrees; {END}: end"

STEP = math.radians(2.0)
"""rad; motion of one key."""


def jog_by_keys(hand: OperatedHand, joint: str, stop_key: StopKey) -> None:
    """Move joints by keys until the operator ends it.

    Args:
        hand: the hand.
        joint: first joint; empty: the first one of the hand.
        stop_key: keys of the terminal.

    Raises:
        StationFault: the hand cannot be moved.
    """
    names = hand.hand.joints
    index = hand.hand.index(joint) if joint else 0
    show(HELP.format(step=math.degrees(STEP)))
    stop_key.announce()
    goal = wanted = hand.position(names[index])
    with console.status("") as shown:
        while (key := stop_key.pressed()) != END:
            if stop_key.stopped:
                goal = wanted = hand.position(names[index])
                time.sleep(PERIOD)
                continue
            if key in (NEXT, LAST):
                index = (index + (1 if key == NEXT else -1)) % len(names)
                goal = wanted = hand.position(names[index])
            elif key in (MORE, "="):
                wanted += STEP
            elif key == LESS:
                wanted -= STEP
            lower, upper = hand.hand.lower[index], hand.hand.upper[index]
            wanted = min(max(wanted, lower), upper)
            hand.check()
            goal = toward(goal, wanted)
            hand.step(names[index], goal, False)
            here = math.degrees(hand.position(names[index]))
            shown.update(f"{names[index]} {here:.1f} degrees, target {math.degrees(wanted):.1f}")
            time.sleep(PERIOD)
