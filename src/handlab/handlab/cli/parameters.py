"""Parameters that several verbs share."""

import json
import os
from typing import Annotated, Any

import typer

from handlab.cli.values import argument, option
from handlab.graph.ros_environment import NETWORK
from handlab_core.system import validation
from handlab_core.system.validation import Text

AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object, last")]
Seed = Annotated[int, option(validation.Seed, "Random seed of starts, goals and noise")]
TaskName = Annotated[str, argument(Text, "See `./handlab tasks`")]
Vary = Annotated[
    list[str] | None,
    option(Text, "name=value, name=lower:upper or name=a,b,c; docs/variations.md", "--vary"),
]


def _ask_for_network(wanted: bool) -> bool:
    """Let every graph of this process, and of its children, reach other machines."""
    if wanted:
        os.environ[NETWORK] = "1"
    return wanted


Network = Annotated[
    bool,
    typer.Option(
        "--network",
        help="Let other machines join the graph, and command the hand; default: this one alone",
        callback=_ask_for_network,
    ),
]


def finish(figures: dict[str, Any], as_json: bool) -> None:
    """Print the figures of a verb as JSON, if the user asked for them."""
    if as_json:
        print(json.dumps(figures))
