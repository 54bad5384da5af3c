"""`./handlab record`: record demonstrations."""

from pathlib import Path
from typing import Annotated

import typer

from handlab.cli.fields import Default, option_of
from handlab.cli.parameters import AsJson, Network, Seed, TaskName, finish
from handlab.cli.values import Episodes, Torque, option
from handlab.graph.options import PERSON, SCRIPT, SceneOptions, TeacherOptions, ViewerOptions
from handlab_core.demonstrations.scripted_teacher import TeacherConfig
from handlab_core.hardware.backend_table import backend_spec
from handlab_core.options import BagOptions, PaceOptions, StationOptions


def record(
    task: TaskName,
    guide: TeacherOptions,
    station: StationOptions,
    script: Annotated[TeacherConfig, Default(noise=0.02)],
    graph_viewer: ViewerOptions,
    graph_scene: SceneOptions,
    episodes: Annotated[int, option(Episodes, "Demonstrations to record")] = 20,
    bag: Annotated[Path | None, option_of(BagOptions, "bag", "Folder of the recording")] = None,
    pace: Annotated[
        str | None,
        option_of(PaceOptions, "pace", "real or lockstep; default: lockstep where possible"),
    ] = None,
    hold: Annotated[
        float, option(Torque, "N m; resistance of passive joints; 0 lets them fall")
    ] = 0.0,
    keep: Annotated[
        bool, typer.Option(help="Accept demonstrations in which the script fails, too")
    ] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
    network: Network = False,
) -> None:
    """Record demonstrations: the hand is let go, and a person or the script guides it."""
    from handlab.graph.config import GraphConfig, on_station
    from handlab.teaching import record_and_replay

    spec = backend_spec(station.hardware)
    teacher = guide.teacher or (SCRIPT if spec.simulated else PERSON)
    pace = pace or (spec.learning_pace if teacher == SCRIPT else "real")
    folder = bag or record_and_replay.new_bag(task)
    config = GraphConfig(
        task, pace=pace, bag=str(folder), teacher=teacher,
        teacher_config=vars(script) if teacher == SCRIPT else {}, **vars(graph_viewer),
        **vars(graph_scene),
    )  # fmt: skip
    figures = record_and_replay.record(on_station(config, station), episodes, seed, keep, hold)
    print(f"{figures['episodes']} of {episodes} demonstrations accepted: {figures['bag']}")
    finish(figures, as_json)
