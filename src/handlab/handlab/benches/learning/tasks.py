"""Robot-hours until each task is learned from nothing, over several seeds, with learning curves.

One world at a time in this process, which gives the episodes of the graph bit for bit. A run goes
on until the strict criterion is met too, or until it is given up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handlab.benches.formatting import NOT_YET, hours_text, print_row, with_command
from handlab.benches.kept import chosen, kept
from handlab.benches.learning.every_seed import learn_all
from handlab.benches.options import TasksOptions
from handlab.benches.result import Bench, Kept, Result, Table, origin
from handlab.experiments import training
from handlab.reporting.compare import median_or_never
from handlab.reporting.learning_curves import Curve, side_by_side
from handlab_core.system.paths import share
from handlab_core.tasks import TASKS
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder

SEEDS = 5

PICTURE = Path("docs", "images", "tasks.png")
"""Path in the workspace."""


@dataclass(frozen=True)
class Asked:
    """Limits of a task, and the figure to compare with."""

    hours: float | None = None
    """Robot-hours; limit of the median."""
    give_up: float = 8.0
    """Robot-hours after which a run ends."""
    post: str = ""
    """Figure of the post (BAIR, 2018); empty: the post has no such task."""


ASKED = {
    "valve": Asked(3.5, 6.0, "9 h"),
    "valve_random": Asked(6.0, 8.0, "9 h, as for `valve`"),
    "valve_foam": Asked(6.0, 6.0, "learned"),
    "flip": Asked(4.0, 4.0, "8 h"),
    "allegro_valve": Asked(8.0, 8.0, "learned"),
    "pose": Asked(1.0, 1.5),
    "allegro_pose": Asked(1.0, 1.5),
}
"""Limits by task; a task that is not here is measured without a limit."""


def measure(seed: int, options: TasksOptions) -> Result:
    """Learn the tasks and return the worst ratio of robot-hours to their limit."""
    names = chosen("tasks", options.tasks, TASKS)
    old = {name: row for name, row in kept("tasks", "tasks").items() if name in TASKS}
    seeds = range(seed, seed + SEEDS)
    runs = learn_all(_learn, names, seeds)
    measured = old | {name: _row(name, list(seeds), runs[name]) for name in names}
    tasks = {name: measured[name] for name in TASKS if name in measured}
    ratios = [ratio for row in tasks.values() if (ratio := _ratio(row)) is not None]
    worst = max(ratios, default=0.0)
    unit = "of the robot-hours asked for"
    return Result(worst, 1.0, unit, {"tasks": tasks}, lambda: draw(tasks, share() / PICTURE))


def draw(tasks: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the kept learning curves, a picture for each task."""
    curves = {name: [Curve.of_pairs(c) for c in row["curves"]] for name, row in tasks.items()}
    side_by_side(curves, {name: row["asked"] for name, row in tasks.items()}, path)


def _ratio(row: Mapping[str, Any]) -> float | None:
    if row["asked"] is None:
        return None
    median = row["median_robot_hours_to_success"]
    return float("inf") if median is None else float(median) / float(row["asked"])


def _row(name: str, seeds: list[int], runs: list[tuple[dict[str, Any], Curve]]) -> dict[str, Any]:
    asked, task = ASKED.get(name, Asked()), TASKS.make(name)
    hours = [summary["robot_hours_to_success"] for summary, _ in runs]
    strict = [summary["robot_hours_to_strict_success"] for summary, _ in runs]
    made = origin("tasks")
    return {
        "hand": task.hand_name,
        "description": task.description,
        "asked": asked.hours,
        "given_up_after": asked.give_up,
        "seeds": seeds,
        "robot_hours_to_success": hours,
        "robot_hours_to_strict_success": strict,
        "median_robot_hours_to_success": median_or_never(hours),
        "median_robot_hours_to_strict_success": median_or_never(strict),
        "success_rate": [summary["success_rate"] for summary, _ in runs],
        "strict_success_rate": [summary["strict_success_rate"] for summary, _ in runs],
        "commit": made["commit"],
        "date": made["date"],
        "curves": [curve.pairs() for _, curve in runs],
    }


def _learn(root: str, name: str, seed: int) -> tuple[dict[str, Any], Curve]:
    hours = ASKED.get(name, Asked()).give_up
    config = RunConfig(name, backend="sim", seed=seed, until="strict", max_hours=hours)
    folder: RunFolder = training.new_run(config, Path(root))
    summary = training.train(folder, resume=False, num_envs=1, threads=1)
    keys = ("task", "seed", "robot_hours_to_success", "robot_hours_to_strict_success", "wall_s")
    print_row({key: summary[key] for key in keys})
    return summary, Curve.of_rows(folder.metrics())


def tasks_table(result: Kept | None) -> str:
    """Return the table of the tasks that were learned from nothing."""
    if result is None:
        return NOT_YET
    rows = [
        "| task | hand | what | asked | robot-hours, median (seeds) | strict | post |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in result["tasks"].items():
        asked = "" if row["asked"] is None else f"at most {row['asked']:g} h"
        seeds = ", ".join(hours_text(hours) for hours in row["robot_hours_to_success"])
        median = hours_text(row["median_robot_hours_to_success"])
        strict = hours_text(row["median_robot_hours_to_strict_success"])
        cells = (f"`{name}`", row["hand"], row["description"], asked, f"**{median}** ({seeds})")
        rows.append(f"| {' | '.join((*cells, strict, ASKED.get(name, Asked()).post))} |")
    return with_command(rows, result)


BENCH = Bench(measure, options=TasksOptions, tables=(Table("tasks", tasks_table),))
