"""`./handlab demo`: learn the valve from nothing, or show a policy that comes along."""

from typing import Annotated

import typer

from handlab.cli.learning.train import learn
from handlab.cli.parameters import AsJson, Network, Seed, TaskName, finish
from handlab.graph.options import ComposeOptions, ViewerOptions
from handlab.reporting.terminal import show
from handlab_core.errors import BadConfig

DEFAULT_TASK = "valve"

EPISODES = 5
"""Number of episodes that `--pretrained` shows."""


def demo(
    graph_viewer: ViewerOptions,
    processes: ComposeOptions,
    task: TaskName = DEFAULT_TASK,
    seed: Seed = 0,
    post: Annotated[
        bool,
        typer.Option("--post", help="Learn as in the post of 2018, by natural gradient"),
    ] = False,
    pretrained: Annotated[
        bool,
        typer.Option("--pretrained", help="Show the policy that comes along, without learning"),
    ] = False,
    as_json: AsJson = False,
    network: Network = False,
) -> None:
    """Learn to turn the valve through the ROS graph on MuJoCo, evaluate, write the report."""
    if pretrained and post:
        raise BadConfig("--pretrained learns nothing: leave --post")
    if pretrained:
        finish(_show(task, seed, graph_viewer.viewer, processes.compose), as_json)
        return
    if task != DEFAULT_TASK:
        raise BadConfig(
            f"the demo learns {DEFAULT_TASK}, not {task}: use `./handlab train {task}`, or add "
            "--pretrained"
        )
    from handlab.experiments import training
    from handlab_learning.runs.config import RunConfig

    method = "npg" if post else "rlpd"
    config = RunConfig(task=task, algorithm=method, backend="graph", seed=seed, until="success")
    learn(training.new_run(config), as_json, viewer=graph_viewer.viewer, compose=processes.compose)


def _show(task: str, seed: int, viewer: bool, compose: bool) -> dict[str, object]:
    """Run the reference policy of a task through the graph, and film it; return the figures."""
    from pathlib import Path

    from handlab.experiments import evaluation
    from handlab.experiments.pretrained import pretrained
    from handlab.graph.config import GraphConfig
    from handlab.reporting import video
    from handlab_core.hardware.backend_table import DEFAULT, backend_spec
    from handlab_learning.runs.evaluation import rate_text

    policy = pretrained(task)
    show(f"policy: {policy}")
    # A viewer is for people, who see nothing of episodes that run faster than the clock.
    pace = "real" if viewer else backend_spec(DEFAULT).learning_pace
    graph = GraphConfig(pace=pace, viewer=viewer, compose=compose)
    verdict = evaluation.evaluate(policy, EPISODES, seed, graph)
    film = Path(f"{task}_pretrained.mp4")
    no_video = video.render(policy, film, seed)
    show(f"no video: {no_video}" if no_video else f"video: {film.resolve()}")
    print(
        f"{task}: success {rate_text(verdict)} of {verdict['episodes']} episodes, not learned here"
    )
    return verdict | {"video": None if no_video else str(film.resolve())}
