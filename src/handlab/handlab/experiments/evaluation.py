"""Evaluate a checkpoint, in this process or through a graph."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from handlab.experiments.task_kinds import local_sampler
from handlab.graph.client import GraphClient
from handlab.graph.config import GraphConfig
from handlab.graph.processes import BackgroundGraph
from handlab.operation.stop_key import SimulatedHands, StopKey
from handlab.reporting.terminal import console
from handlab_core.environment.episode import EpisodePlan
from handlab_core.errors import BadConfig
from handlab_core.estimation.estimator_table import ENCODER
from handlab_core.hardware.backend_table import DEFAULT
from handlab_learning.policy_files import saved_policy
from handlab_learning.runs.evaluation import ON_REQUEST, summarize


def evaluate(
    path: Path,
    episodes: int,
    seed: int,
    graph: GraphConfig | None = None,
    num_envs: int = 20,
    threads: int = 2,
    estimator: str = ENCODER,
    policy: str = "",
    hardware: str = DEFAULT,
) -> dict[str, Any]:
    """Run a checkpoint's policy without noise and judge the episodes.

    Args:
        path: of a run, or of a checkpoint in one.
        episodes: how many.
        seed: of the episodes' starts and goals.
        graph: to start for it; task and reward become those of the checkpoint. None: simulate in
            this process.
        num_envs: robots simulated side by side in this process.
        threads: to simulate them on.
        estimator: what follows the objects in this process; a graph's configuration names its own.
        policy: of a run, `best` or `last`; empty: the best, if the run keeps one.
        hardware: name of the backend that simulates in this process; a graph names its own.

    Returns:
        What `summarize` says, and which policy it is of: `policy`, `iteration`, `checkpoint`.

    Raises:
        BadConfig: there is no episode to run, or no graph for the task.
    """
    if episodes < 1:
        raise BadConfig(f"an evaluation needs at least 1 episode, not {episodes}: --episodes 30")
    saved = saved_policy.load(path, policy)
    task = saved.task()
    acting = saved.policy(task)
    if graph is not None and not task.has_graph:
        raise BadConfig(f"{task.name} has no graph: leave --backend and --hardware")
    if graph is None:
        plan = EpisodePlan(seed, range(ON_REQUEST, ON_REQUEST + episodes), deterministic=True)
        sampler = local_sampler(task, num_envs, threads, estimator, hardware=hardware)
        with StopKey(SimulatedHands()) as stop_key:
            stop_key.announce()
            return summarize(list(sampler.sample(acting, plan))) | saved.named()
    config = replace(graph, task=task.name, reward=task.reward)
    with tempfile.TemporaryDirectory() as scratch, Progress(console=console) as bar:
        shown = bar.add_task("episodes", total=episodes)
        with (
            BackgroundGraph(config, Path(scratch, "nodes.log")) as nodes,
            GraphClient(nodes) as client,
        ):
            client.stop_key.announce()
            verdict = client.evaluate(
                str(saved.manifest_path.resolve()),
                episodes,
                seed,
                lambda done, _: bar.update(shown, completed=done),
            )
            return verdict | saved.named()
