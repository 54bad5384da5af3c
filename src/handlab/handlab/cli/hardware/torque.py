"""`./handlab torque`: engage or release a hand."""

import time
from typing import Annotated

from handlab.cli.hardware.options import DomainId, HandName
from handlab.cli.values import argument, option
from handlab_core.options import MachineOptions
from handlab_core.system.validation import OneOf, Text

ON, OFF = "on", "off"


def torque(
    state: Annotated[str, argument(Annotated[Text, OneOf("state", (ON, OFF))], "on or off")],
    machine: MachineOptions,
    joint: Annotated[
        list[str] | None, option(Text, "Joint, may be given several times; default: all", "--joint")
    ] = None,
    hand: HandName = "claw",
    domain: DomainId = None,
) -> None:
    """Engage joints where they stand, or release them; without a graph they hold until Ctrl-C."""
    from handlab.operation.motion import PERIOD
    from handlab.operation.operated_hand import open_hand
    from handlab.operation.stop_key import StopKey
    from handlab.reporting.terminal import show

    joints = tuple(joint or ())
    names = ", ".join(joints) or "all joints"
    with open_hand(hand, machine, domain) as operated:
        if state == OFF:
            operated.torque_off(joints)
            print(f"{operated.place}: {names} released")
            return
        keep = operated.torque_on(joints)
        print(f"{operated.place}: {names} engaged", flush=True)
        if keep is None:
            return
        with StopKey(operated.switch) as stop_key:
            show(stop_key.line or "Ctrl-C lets the hand go")
            while True:
                if not stop_key.stopped:
                    keep()
                time.sleep(PERIOD)
