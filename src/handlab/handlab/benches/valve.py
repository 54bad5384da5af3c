"""Robot-hours until the claw turns the valve, over several seeds.

Every seed is learned in this process, one world at a time, and through the graph. Both give the
same episodes bit for bit, so they must agree on the robot-hours to the last digit; the bench says
whether they do. `measure_strict` goes on, in this process, until the strict criterion is met.
"""

import json
import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from handlab.benches.result import Result
from handlab.experiments import training
from handlab_learning.runs.config import RunConfig

SEEDS = 5
LIMIT = 3.5
"""Robot-hours, median, resets counted."""

GRAPH_SEEDS = "HANDLAB_GRAPH_SEEDS"
"""Environment variable: through the graph for so many of the seeds only (it takes minutes each)."""


def measure(seed: int) -> Result:
    """Learn from several seeds and give the median robot-hours to success."""
    seeds = list(range(seed, seed + SEEDS))
    through = seeds[: int(os.environ.get(GRAPH_SEEDS, SEEDS))]
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        process = _learn_all(scratch, seeds, "sim", "success")
        graph = _learn_all(scratch, through, "graph", "success")
    hours = [run["robot_hours_to_success"] for run in process]
    graph_hours = [run["robot_hours_to_success"] for run in graph]
    details = {
        "seeds": seeds,
        "robot_hours_to_success": hours,
        "worst": max(_numbers(hours)),
        "graph_seeds": through,
        "graph_robot_hours_to_success": graph_hours,
        "graph_minutes": [run["wall_s"] / 60 for run in graph],
        "graph_and_process_agree": graph_hours == hours[: len(through)],
    }
    return Result(_median(hours), LIMIT, "robot-hours", details)


def measure_strict(seed: int) -> Result:
    """Learn from several seeds and give the median robot-hours to strict success."""
    seeds = list(range(seed, seed + SEEDS))
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        runs = _learn_all(scratch, seeds, "sim", "strict")
    hours = [run["robot_hours_to_strict_success"] for run in runs]
    return Result(_median(hours), LIMIT, "robot-hours", {"seeds": seeds, "robot_hours": hours})


def _learn_all(root: str, seeds: list[int], backend: str, until: str) -> list[dict[str, Any]]:
    """Runs side by side: robot-hours do not depend on how fast the machine is."""
    jobs = [(root, seed, backend, until) for seed in seeds]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_learn, *zip(*jobs, strict=True)))


def _learn(root: str, seed: int, backend: str, until: str) -> dict[str, Any]:
    config = RunConfig(backend=backend, seed=seed, until=until)
    folder = training.new_run(config, Path(root, backend))
    summary = training.train(folder, resume=False, num_envs=1, threads=1)
    keys = ("seed", "backend", "robot_hours_to_success", "robot_hours_to_strict_success", "wall_s")
    print(json.dumps({key: summary[key] for key in keys}), file=sys.stderr, flush=True)
    return summary


def _numbers(hours: list[float | None]) -> list[float]:
    return [float("inf") if h is None else h for h in hours]


def _median(hours: list[float | None]) -> float:
    return statistics.median(_numbers(hours))
