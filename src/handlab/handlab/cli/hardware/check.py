"""`./handlab check`: move a hand for the first time."""

from dataclasses import asdict
from typing import Annotated

import typer

from handlab.cli.hardware.options import DomainId, HandArgument
from handlab.cli.parameters import AsJson, finish
from handlab.cli.values import option
from handlab_core.options import MachineOptions
from handlab_core.system.validation import Text


def check(
    hand: HandArgument,
    machine: MachineOptions,
    joint: Annotated[
        list[str] | None, option(Text, "Joint, may be given several times; default: all", "--joint")
    ] = None,
    unattended: Annotated[
        bool, typer.Option("--unattended", help="Measure only, without questions")
    ] = False,
    domain: DomainId = None,
    as_json: AsJson = False,
) -> None:
    """Move one joint at a time, small and slow; you confirm its name and its direction."""
    from handlab.operation.joint_check import QUESTION, check_joint
    from handlab.operation.operated_hand import open_hand
    from handlab.operation.stop_key import StopKey
    from handlab.reporting.terminal import show
    from handlab_core.errors import BadConfig

    results = []
    with open_hand(hand, machine, domain) as operated:
        for name in joint or ():
            operated.hand.index(name)
        with StopKey(operated.switch) as stop_key:
            if not (unattended or stop_key.present):
                raise BadConfig("check asks a person at a terminal; without one add --unattended")
            show(f"{operated.place}: keep the table free, one hand on the emergency stop")
            stop_key.announce()
            if not unattended:
                show(QUESTION)
            for name in joint or operated.hand.joints:
                result = check_joint(
                    operated, name, show, None if unattended else stop_key.pressed,
                    lambda: stop_key.stopped,
                )  # fmt: skip
                print(f"{name}: {result.problem or 'ok'}", flush=True)
                results.append(result)
    wrong = [result.joint for result in results if result.problem]
    if wrong:
        print(f"{len(wrong)} of {len(results)} joints are wrong: {', '.join(wrong)}")
    else:
        print(f"{len(results)} joints move as they must")
        print(f"next: ./handlab calibrate --hand {hand}, or ./handlab up TASK")
    finish({"joints": [asdict(result) for result in results], "wrong": wrong}, as_json)
    raise SystemExit(bool(wrong))
