"""`./handlab calibrate`: take the present pose as the zero pose."""

import sys
from typing import Annotated

import typer

from handlab.cli.hardware.options import DomainId, HandName
from handlab_core.options import MachineOptions


def calibrate(
    machine: MachineOptions,
    hand: HandName = "claw",
    domain: DomainId = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an older calibration")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Accept zeros that are far from the nominal ones")
    ] = False,
) -> None:
    """Release the hand, and write the pose in which you hold it as the zero pose."""
    from handlab.operation.operated_hand import open_hand
    from handlab.reporting.terminal import show

    with open_hand(hand, machine, domain) as operated:
        if sys.stdin.isatty():
            operated.torque_off(())
            show("the hand is released: hold every joint at zero, then press Enter (Ctrl-C: leave)")
            input()
        written = operated.calibrate(overwrite, force)
    print(f"{written}: new zeros, in force when the driver starts again")
    print(f"next: ./handlab check {hand}")
