"""`./handlab demo`: learn the valve from nothing."""

from typing import Annotated

from handlab.cli.learning.train import learn
from handlab.cli.parameters import AsJson, Network, Seed
from handlab.cli.values import option
from handlab.graph.options import ComposeOptions, ViewerOptions
from handlab_core.system.validation import Text


def demo(
    graph_viewer: ViewerOptions,
    processes: ComposeOptions,
    seed: Seed = 0,
    algorithm: Annotated[
        str,
        option(
            Text, "rlpd: the fastest; npg: the natural gradient of the post of 2018", "--algorithm"
        ),
    ] = "rlpd",
    as_json: AsJson = False,
    network: Network = False,
) -> None:
    """Learn to turn the valve through the ROS graph on MuJoCo, evaluate, write the report."""
    from handlab.experiments import training
    from handlab_learning.runs.config import RunConfig

    config = RunConfig(
        task="valve", algorithm=algorithm, backend="graph", seed=seed, until="success"
    )
    learn(training.new_run(config), as_json, viewer=graph_viewer.viewer, compose=processes.compose)
