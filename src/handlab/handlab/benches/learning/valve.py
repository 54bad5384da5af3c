"""Robot-hours until the claw turns the valve, over several seeds.

Every seed is learned in this process, one world at a time, and through the graph. Both give the
same episodes bit for bit, so they must agree on the robot-hours to the last digit; the bench says
whether they do. `measure_strict` goes on, in this process, until the strict criterion is met.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from handlab.benches.formatting import hours_text, print_row
from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.experiments import training
from handlab_core.system.validation import Index, checked
from handlab_core.system.workers import worker_pool
from handlab_learning.runs.config import RunConfig

SEEDS = 5
LIMIT = 3.5
"""Robot-hours, median, resets counted."""


@checked
class ValveOptions:
    """Options of the bench."""

    graph_seeds: Annotated[
        Index,
        Field(le=SEEDS, description="Seeds to learn through the graph, too; minutes each"),
    ] = SEEDS


def measure(seed: int, options: ValveOptions) -> Result:
    """Learn from several seeds and give the median robot-hours to success."""
    seeds = list(range(seed, seed + SEEDS))
    through = seeds[: options.graph_seeds]
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
    """Carry out all runs in parallel; robot-hours do not depend on the speed of the machine."""
    jobs = [(root, seed, backend, until) for seed in seeds]
    with worker_pool() as pool:
        return list(pool.map(_learn, *zip(*jobs, strict=True)))


def _learn(root: str, seed: int, backend: str, until: str) -> dict[str, Any]:
    config = RunConfig(backend=backend, seed=seed, until=until)
    folder = training.new_run(config, Path(root, backend))
    summary = training.train(folder, resume=False, num_envs=1, threads=1)
    keys = ("seed", "backend", "robot_hours_to_success", "robot_hours_to_strict_success", "wall_s")
    print_row({key: summary[key] for key in keys})
    return summary


def _numbers(hours: list[float | None]) -> list[float]:
    return [float("inf") if h is None else h for h in hours]


def _median(hours: list[float | None]) -> float:
    return statistics.median(_numbers(hours))


def _cell(result: Kept) -> str:
    hours = ", ".join(hours_text(h) for h in result["robot_hours_to_success"])
    through = f"{len(result['graph_seeds'])} of the seeds also through the graph"
    return f"**{hours_text(result['value'])}** ({hours}); {through}"


def _strict_cell(result: Kept) -> str:
    hours = ", ".join(hours_text(h) for h in result["robot_hours"])
    return f"**{hours_text(result['value'])}** ({hours})"


BENCH = Bench(
    measure,
    options=ValveOptions,
    figure=Figure(
        "robot-hours to turn the valve, resets counted, median of 5 seeds",
        "at most 3.5, each at most 6",
        _cell,
        key=True,
    ),
)

STRICT = Bench(
    measure_strict,
    figure=Figure("the same by the strict criterion, 0.1 rad", "shown beside it", _strict_cell),
)
