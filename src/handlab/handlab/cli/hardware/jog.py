"""`./handlab jog`: move single joints by hand."""

import math
import sys
from typing import Annotated

from handlab.cli.hardware.options import DomainId, HandName
from handlab.cli.parameters import AsJson, finish
from handlab.cli.values import argument, option
from handlab_core.errors import BadConfig
from handlab_core.options import MachineOptions
from handlab_core.system.validation import Number, Text


def jog(
    machine: MachineOptions,
    joint: Annotated[str, argument(Text, "Joint; default: choose it by keys")] = "",
    by: Annotated[float | None, option(Number, "Degrees from the present position")] = None,
    to: Annotated[float | None, option(Number, "Degrees; position")] = None,
    hand: HandName = "claw",
    domain: DomainId = None,
    as_json: AsJson = False,
) -> None:
    """Move one joint slowly, by an angle or with keys; the others hold. The end releases all."""
    from handlab.operation.jogging import jog_by_keys
    from handlab.operation.motion import move
    from handlab.operation.operated_hand import open_hand
    from handlab.operation.stop_key import StopKey

    if by is not None and to is not None:
        raise BadConfig("--by is from the present position, and --to is one: give one of them")
    keys = by is None and to is None
    if keys and not sys.stdin.isatty():
        raise BadConfig("without a terminal jog needs a joint, and --by or --to")
    if not keys and not joint:
        raise BadConfig("--by and --to need a joint: ./handlab jog JOINT --by 5")
    with open_hand(hand, machine, domain) as operated:
        if joint:
            operated.hand.index(joint)
        with StopKey(operated.switch) as stop_key:
            if keys:
                jog_by_keys(operated, joint, stop_key)
                return
            stop_key.announce()
            start = operated.position(joint)
            target = start + math.radians(by) if by is not None else math.radians(to or 0.0)
            reached = move(operated, joint, target, False, lambda: stop_key.stopped)
    figures = {"joint": joint, "asked": math.degrees(target), "reached": math.degrees(reached)}
    print(f"{joint} is at {figures['reached']:.1f} degrees; asked {figures['asked']:.1f}")
    finish(figures, as_json)
