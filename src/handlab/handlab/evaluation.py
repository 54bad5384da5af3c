"""Evaluate a checkpoint, in this process or through a graph."""

import tempfile
from pathlib import Path
from typing import Any

from rich.progress import Progress

from handlab.graph import GraphConfig
from handlab.graph_client import GraphClient
from handlab.progress import console
from handlab.training import local_sampler
from handlab.up import BackgroundGraph
from handlab_core.errors import UnknownName
from handlab_learning import checkpoint as checkpoints
from handlab_learning.evaluate import ON_REQUEST, judge
from handlab_learning.run_config import BACKENDS


def evaluate(
    path: Path, episodes: int, backend: str, seed: int, worlds: int = 20, threads: int = 2
) -> dict[str, Any]:
    """Run a checkpoint's policy without noise and judge the episodes.

    Args:
        path: of a run, or of a checkpoint in one.
        episodes: how many.
        backend: `sim` or `graph`.
        seed: of the episodes' starts and goals.
        worlds: simulated side by side (backend `sim` only).
        threads: to simulate them on (backend `sim` only).
    """
    saved = checkpoints.load(path)
    task = saved.task()
    policy = saved.policy(task)
    if backend == "sim":
        numbers = range(ON_REQUEST, ON_REQUEST + episodes)
        return judge(local_sampler(task, worlds, threads).sample(policy, seed, numbers, True))
    if backend != "graph":
        raise UnknownName("backend", backend, BACKENDS)
    config = GraphConfig(task.name, reward=task.reward)
    with tempfile.TemporaryDirectory() as scratch, Progress(console=console) as bar:
        shown = bar.add_task("episodes", total=episodes)
        with (
            BackgroundGraph(config, Path(scratch, "nodes.log")) as graph,
            GraphClient(graph) as client,
        ):
            return client.evaluate(
                str(saved.manifest_path.resolve()),
                episodes,
                seed,
                lambda done, _: bar.update(shown, completed=done),
            )
