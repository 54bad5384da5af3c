"""`./handlab replay`: repeat demonstrations."""

from pathlib import Path
from typing import Annotated

import typer

from handlab.cli.fields import Default
from handlab.cli.parameters import AsJson, Network, finish
from handlab.cli.values import option, path_argument
from handlab.graph.options import LOOK, REPLAYS, SceneOptions, ViewerOptions
from handlab_core.errors import UnknownName
from handlab_core.options import PaceOptions, StationOptions
from handlab_core.system.validation import Index, Text

DATA = "data"
"""Way to replay: only compute."""


def replay(
    bag: Annotated[Path, path_argument("Folder of a recording")],
    station: StationOptions,
    time: Annotated[PaceOptions, Default(pace="real")],
    graph_viewer: Annotated[ViewerOptions, Default(viewer=True)],
    graph_scene: SceneOptions,
    way: Annotated[str, option(Text, "hand, look: only show; data: only compute", "--on")] = LOOK,
    episode: Annotated[list[int] | None, option(Index, "Numbers; default: all")] = None,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Repeat simulated episodes, and compare every bit"),
    ] = False,
    reset: Annotated[bool, typer.Option(help="Bring the hand to the start first")] = True,
    as_json: AsJson = False,
    network: Network = False,
) -> None:
    """Repeat the demonstrations of a bag: in the viewer, on a hand, or as data."""
    from handlab.graph.config import GraphConfig, on_station
    from handlab.teaching import record_and_replay
    from handlab_data.demonstration_reader import read_recording

    if exact:
        _replay_exactly(bag, episode or [], as_json)
        return
    if way not in (*REPLAYS, DATA):
        raise UnknownName("way to replay", way, (*REPLAYS, DATA))
    recorded = read_recording(bag)
    task, numbers = recorded.session.task, recorded.choose(episode or [])
    if way == DATA:
        figures = record_and_replay.as_data(recorded, episode or [])
        for line in figures["episodes"]:
            print("  ".join(f"{name} {value}" for name, value in line.items()))
        finish(figures, as_json)
        return
    shown = way == LOOK
    plain = GraphConfig(
        task, pace="real" if shown else time.pace, replay=way, estimator=station.estimator,
        **vars(graph_viewer), **vars(graph_scene),
    )  # fmt: skip
    figures = record_and_replay.replay(
        plain if shown else on_station(plain, station), bag, numbers, reset
    )
    ends = ", ".join(f"{error:.2f}" for error in figures["object_errors"])
    print(
        f"{figures['episodes']} demonstrations replayed"
        + ("" if shown else f"; the object ended {ends} rad from where it had")
    )
    finish(figures, as_json)


def _replay_exactly(bag: Path, episodes: list[int], as_json: bool) -> None:
    from handlab.teaching.exact_replay import replay_exactly

    replays = replay_exactly(bag, episodes)
    for one in replays:
        ending = "succeeded" if one.success else "failed"
        same = "exact" if one.first is None else f"differs from step {one.first}"
        print(f"{one.episode}  {ending}  {one.steps} steps  {one.numbers} numbers  {same}")
    good = sum(one.first is None for one in replays)
    print(f"{good} of {len(replays)} episodes went the same way to the last bit")
    finish({"exact": good, "episodes": [vars(one) for one in replays]}, as_json)
    raise SystemExit(good < len(replays))
