"""`./handlab setup`: commission new motors."""

from pathlib import Path
from typing import Annotated

import typer

from handlab.cli.hardware.options import HandName
from handlab.cli.values import argument, option, path_option
from handlab_core.objects.fixture import FIXTURES
from handlab_core.system.validation import OneOf, Text

WIRES = ("dynamixel",)
"""Kinds of motors that are commissioned one by one."""


def setup(
    wire: Annotated[str, argument(Annotated[Text, OneOf("wire", WIRES)], "dynamixel")],
    hand: HandName = "claw",
    fixture: Annotated[
        str, option(Annotated[Text, OneOf("fixture", FIXTURES)], "Object on the last servo")
    ] = "valve",
    port: Annotated[str, path_option("Port of the adapter; default: the only one there is")] = "",
    output: Annotated[
        Path | None, path_option("Station file to write; default: <hand>.station.yaml")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing station file")
    ] = False,
    scan: Annotated[
        bool, typer.Option("--scan", help="Only list the servos, at every speed")
    ] = False,
) -> None:
    """Find the port and the servos, give them ids one at a time, and write the station file."""
    from handlab.operation.setting_up import list_servos, set_up
    from handlab_hardware.dynamixel.commissioning import choose_port

    chosen = choose_port(port)
    if scan:
        list_servos(chosen)
        return
    set_up(chosen, hand, fixture, output or Path(f"{hand}.station.yaml"), overwrite)
