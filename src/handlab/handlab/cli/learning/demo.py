"""`./handlab demo`: learn the valve from nothing."""

from typing import Annotated

import typer

from handlab.cli.learning.train import learn
from handlab.cli.parameters import AsJson, Network, Seed
from handlab.graph.options import ComposeOptions, ViewerOptions


def demo(
    graph_viewer: ViewerOptions,
    processes: ComposeOptions,
    seed: Seed = 0,
    post: Annotated[
        bool,
        typer.Option("--post", help="Learn as in the post of 2018, by natural gradient"),
    ] = False,
    as_json: AsJson = False,
    network: Network = False,
) -> None:
    """Learn to turn the valve through the ROS graph on MuJoCo, evaluate, write the report."""
    from handlab.experiments import training
    from handlab_learning.runs.config import RunConfig

    method = "npg" if post else "rlpd"
    config = RunConfig(task="valve", algorithm=method, backend="graph", seed=seed, until="success")
    learn(training.new_run(config), as_json, viewer=graph_viewer.viewer, compose=processes.compose)
