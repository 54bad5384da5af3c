"""`./handlab gait`: search a gait."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from handlab.cli.parameters import AsJson, TaskName, finish
from handlab.cli.values import option, path_option
from handlab.reporting.terminal import console
from handlab.teaching.search_config import NEAR, SearchConfig
from handlab_core.system.validation import Text


def gait(
    task: TaskName,
    search: SearchConfig,
    start: Annotated[str, option(Text, "A task whose gait to begin from")] = "",
    output: Annotated[
        Path | None, path_option("File to write; default: gaits/<time>-<task>.json")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Replace the task's own gait, if this one is better")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Search a gait for the scripted teacher of a task; the task's own stays as it is."""
    from rich.progress import Progress

    from handlab.operation.stop_key import SimulatedHands, StopKey
    from handlab.teaching.gait_search import default_output, search_gait
    from handlab_core.demonstrations.gait import load_gait
    from handlab_core.tasks import make_task

    chosen = make_task(task)
    begun = make_task(start) if start else None
    first = load_gait(begun) if begun else None
    if first:
        search = replace(search, poses=len(first.poses), spread=NEAR)
    with Progress(console=console) as bar, StopKey(SimulatedHands()) as stop_key:
        stop_key.announce()
        shown = bar.add_task("generations", total=search.generations)

        def on_generation(number: int, cost: float) -> None:
            bar.update(shown, completed=number + 1, description=f"cost {cost:.2f} rad")

        found = search_gait(
            chosen, search, output or default_output(chosen), keep,
            ["./handlab", *sys.argv[1:]], begun, on_generation,
        )  # fmt: skip
    print(f"cost {found.cost:.3f} rad: {found.file}")
    if found.own_cost is not None:
        print(f"cost {found.own_cost:.3f} rad: the gait that {task} had, by the same measure")
    advice = "" if keep else "; --keep replaces it by a better one"
    print(f"{task} has the new gait now" if found.kept else f"{task} keeps its own gait{advice}")
    finish({**vars(found), "file": str(found.file)}, as_json)
