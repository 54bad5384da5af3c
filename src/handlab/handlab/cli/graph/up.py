"""`./handlab up`: start a graph."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from handlab.cli.fields import Default
from handlab.cli.parameters import Network, TaskName
from handlab.graph.options import ComposeOptions, SceneOptions, ViewerOptions
from handlab.reporting.terminal import command, console, show
from handlab_core.options import BagOptions, PaceOptions, RateOptions, RewardOptions, StationOptions

if TYPE_CHECKING:
    from handlab.graph.config import GraphConfig

KEEP_LAST = 30.0
"""s; time in which a person notices that something was worth keeping."""


def up(
    task: TaskName,
    station: StationOptions,
    time: Annotated[PaceOptions, Default(pace="real")],
    rates: RateOptions,
    reward: RewardOptions,
    graph_viewer: ViewerOptions,
    graph_scene: SceneOptions,
    processes: ComposeOptions,
    recording: Annotated[BagOptions, Default(keep_last=KEEP_LAST)],
    network: Network = False,
) -> None:
    """Start a task's graph of nodes and show what they say; Ctrl-C ends it."""
    from handlab.graph.config import GraphConfig, build_graph, on_station
    from handlab.graph.processes import Graph
    from handlab.graph.ros_domain import Domain
    from handlab_data.bag_folder import check_bag_folder

    if recording.bag:
        check_bag_folder(Path(recording.bag))
    groups = (time, rates, reward, graph_viewer, graph_scene, processes, recording)
    values = {name: value for group in groups for name, value in vars(group).items()}
    config = on_station(GraphConfig(task, **values), station)
    nodes = build_graph(config)
    with suppress(KeyboardInterrupt), Graph(nodes, sys.stdout, Domain(), config.simulated) as graph:
        console.print(f"ROS_DOMAIN_ID={graph.domain}: {', '.join(graph.names)}")
        from handlab.graph.live_diagnostics import follow  # while the nodes start

        follow(graph, show, _hints(config))


def _hints(config: "GraphConfig") -> list[str]:
    """Return the next steps of a person in front of a graph that is ready."""
    from handlab_core.tasks import make_task

    hand = make_task(config.task).hand_name
    verbs = {
        "status": f"status --hand {hand}",
        "save the last seconds": "keep" if config.keep_last else "",
        "browser": "" if config.viewer else f"view {config.task}",
        "move a joint": f"jog --hand {hand}" if config.pace == "real" else "",
        "release the hand": f"torque off --hand {hand}",
    }
    words = [f"{what}: {command(*verb.split())}" for what, verb in verbs.items() if verb]
    return [f"next, in another terminal: {'; '.join(words)}"]
