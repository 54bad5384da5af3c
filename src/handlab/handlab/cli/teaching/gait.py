"""`./handlab gait`: search a gait."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from handlab.cli.parameters import AsJson, Seed, TaskName, finish
from handlab.cli.values import Poses, option, path_option
from handlab.reporting.terminal import console
from handlab_core.system.validation import Count, NotNegative, Text


def gait(
    task: TaskName,
    poses: Annotated[int, option(Poses, "Poses in a cycle")] = 4,
    alike: Annotated[bool, typer.Option(help="All fingers do the same, one after another")] = False,
    generations: Annotated[int, option(Count, "Generations of the search")] = 220,
    replay_weight: Annotated[
        float, option(NotNegative, "Weight of the error when the engaged hand repeats the gait")
    ] = 1.0,
    start: Annotated[str, option(Text, "A task whose gait to begin from")] = "",
    output: Annotated[
        Path | None, path_option("File to write; default: gaits/<time>-<task>.json")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Replace the task's own gait, if this one is better")
    ] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Search a gait for the scripted teacher of a task; the task's own stays as it is."""
    from rich.progress import Progress

    from handlab.operation.stop_key import SimulatedHands, StopKey
    from handlab.teaching.gait_search import SearchConfig, default_output, search_gait
    from handlab_core.demonstrations.gait import load_gait
    from handlab_core.tasks import make_task

    chosen = make_task(task)
    begun = make_task(start) if start else None
    first = load_gait(begun) if begun else None
    config = SearchConfig(
        len(first.poses) if first else poses, alike, generations=generations, seed=seed,
        spread=0.1 if first else 0.6, replay_weight=replay_weight,
    )  # fmt: skip
    with Progress(console=console) as bar, StopKey(SimulatedHands()) as stop_key:
        stop_key.announce()
        shown = bar.add_task("generations", total=generations)

        def on_generation(number: int, cost: float) -> None:
            bar.update(shown, completed=number + 1, description=f"cost {cost:.2f} rad")

        found = search_gait(
            chosen, config, output or default_output(chosen), keep,
            ["./handlab", *sys.argv[1:]], begun, on_generation,
        )  # fmt: skip
    print(f"cost {found.cost:.3f} rad: {found.file}")
    if found.own_cost is not None:
        print(f"cost {found.own_cost:.3f} rad: the gait that {task} had, by the same measure")
    advice = "" if keep else "; --keep replaces it by a better one"
    print(f"{task} has the new gait now" if found.kept else f"{task} keeps its own gait{advice}")
    finish({**vars(found), "file": str(found.file)}, as_json)
