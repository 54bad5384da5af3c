"""`./handlab status`: show the state of a hand."""

import sys
from typing import Annotated

import typer

from handlab.cli.hardware.options import DomainId, HandName
from handlab.cli.parameters import AsJson, finish
from handlab_core.options import MachineOptions


def status(
    machine: MachineOptions,
    hand: HandName = "claw",
    domain: DomainId = None,
    once: Annotated[
        bool, typer.Option("--once", help="Print once; default without a terminal")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the state of every servo, and of every node of a running graph; nothing moves."""
    from handlab.operation.operated_hand import open_hand
    from handlab.operation.watching import watch

    with open_hand(hand, machine, domain) as operated:
        if not (once or as_json) and sys.stdout.isatty():
            watch(operated.report)
            return
        report = operated.report()
    print("\n".join(report.lines()))
    finish(report.figures(), as_json)
    raise SystemExit(bool(report.faults))
