"""The value of demonstrations: robot-hours until the claw has learned by the strict criterion.

The scripted teacher leads the fingers; cloning and DAPG learn from the recordings. The same run
measures cloning alone, cloning followed by natural gradient without the demonstrations' term, and
natural gradient from nothing; also fewer demonstrations, and worse ones. Each seed has its own
demonstrations. Their robot time is listed separately; the hours do not contain it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

from pydantic import Field

from handlab.benches.formatting import NOT_YET, hours_text, print_row, with_command
from handlab.benches.kept import chosen, kept
from handlab.benches.learning.every_seed import learn_all, learn_in_process
from handlab.benches.options import TasksOptions
from handlab.benches.result import Bench, Figure, Kept, Result, Table, origin
from handlab.reporting.compare import median_or_never
from handlab.reporting.learning_curves import Curve, kept_ways, ways
from handlab.teaching.scripted import demonstrate
from handlab_core.demonstrations.recording import to_episode
from handlab_core.demonstrations.scripted_teacher import TeacherConfig
from handlab_core.environment.episode import Episode
from handlab_core.system.paths import share
from handlab_core.system.validation import Text, checked
from handlab_core.tasks import make_task
from handlab_learning.runs.config import RunConfig

SEEDS = 5

LIMITS = {"valve": 0.4, "flip": 0.6}
"""Robot-hours, median, that are asked for with twenty demonstrations."""

PICTURE = Path("docs", "images", "demonstrations.png")

RATIO = 8.0
"""Limit, at least: robot-hours from nothing as a multiple of those with demonstrations."""

MAIN, SCRATCH = "dapg", "scratch"

NUM_ENVS = 5
"""Number of robots that are simulated side by side: the episodes of one iteration of DAPG."""

TEACHER = TeacherConfig(noise=0.02)
"""Teacher of every variant that names no other: a hand that leads as well as it can."""


@dataclass(frozen=True)
class Variant:
    """One way to learn."""

    algorithm: str = "dapg"
    demonstrations: int = 20
    teacher_config: TeacherConfig = TEACHER
    settings: Mapping[str, Any] = field(default_factory=dict)
    give_up: float = 2.0
    """Robot-hours."""
    evaluate_every: int = 4
    """Iterations: twenty episodes, or forty where learning takes hours."""


VARIANTS = {
    MAIN: Variant(),
    "bc": Variant("bc", evaluate_every=50),
    "bc_npg": Variant(settings={"lambda0": 0.0}),
    "dapg_10": Variant(demonstrations=10),
    "dapg_5": Variant(demonstrations=5),
    "dapg_1": Variant(demonstrations=1),
    "noisy": Variant(teacher_config=TeacherConfig(noise=0.05)),
    "slow": Variant(teacher_config=TeacherConfig(speed=0.6, noise=0.02)),
    "failing": Variant(teacher_config=TeacherConfig(noise=0.02, failures=0.3)),
    SCRATCH: Variant("npg", demonstrations=0, give_up=9.0, evaluate_every=5),
}
"""Ways to learn, by name."""

WAYS = {
    "dapg": "cloning, then DAPG",
    "bc": "cloning alone",
    "bc_npg": "cloning, then natural gradient without their term",
    "dapg_10": "DAPG, 10 demonstrations",
    "dapg_5": "DAPG, 5 demonstrations",
    "dapg_1": "DAPG, 1 demonstration",
    "noisy": "DAPG, noisy ones",
    "slow": "DAPG, slow ones",
    "failing": "DAPG, partly failed ones",
    "scratch": "from nothing, natural gradient",
}
"""Names of the variants in tables."""

DRAWN = (MAIN, "bc_npg", "dapg_1", SCRATCH)


@checked
class DemosOptions(TasksOptions):
    """Options of the bench."""

    variants: Annotated[
        Text,
        Field(description="Variants to measure, separated by commas; empty: all; others are kept"),
    ] = ""


def measure(seed: int, options: DemosOptions) -> Result:
    """Learn both tasks in every way and return the worst ratio of robot-hours to their limit."""
    tasks = chosen("tasks", options.tasks, LIMITS)
    variants = chosen("variants", options.variants, VARIANTS)
    rows: dict[str, dict[str, Any]] = {task: {} for task in LIMITS} | kept("demos", "tasks")
    seeds = list(range(seed, seed + SEEDS))
    for task in tasks:
        runs = learn_all(partial(_learn, task), variants, seeds)
        fresh = {name: _row(VARIANTS[name], seeds, runs[name]) for name in variants}
        measured = rows[task] | fresh
        rows[task] = {name: measured[name] for name in VARIANTS if name in measured}
    shares = [
        _hours(row[MAIN]) / LIMITS[task] for task, row in rows.items() if MAIN in row
    ]  # fmt: skip
    details = {"limits": LIMITS, "speedups": speedups(rows), "asked_speedup": RATIO, "tasks": rows}
    unit = "of the robot-hours asked for"
    return Result(
        max(shares, default=0.0), 1.0, unit, details, lambda: draw(rows, share() / PICTURE)
    )


def draw(rows: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the kept learning curves of the ways that learn with a robot."""
    called = {name: WAYS[name] for name in DRAWN}
    curves = kept_ways(rows, called, lambda kept: kept["curves"])
    ways(curves, path, "strict success", logarithmic=True)


def speedups(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return robot-hours from nothing over those with demonstrations, of tasks that have both.

    Where nothing was learned from nothing, the hours after which it was given up stand for it.
    Where cloning alone was enough there is no ratio: 0 h were needed.
    """
    found = {}
    for task, row in rows.items():
        if MAIN in row and SCRATCH in row and 0 < _hours(row[MAIN]) < float("inf"):
            scratch = min(_hours(row[SCRATCH]), VARIANTS[SCRATCH].give_up)
            found[task] = scratch / _hours(row[MAIN])
    return found


def _hours(row: Mapping[str, Any]) -> float:
    median = row["median_robot_hours_to_strict_success"]
    return float("inf") if median is None else float(median)


def _row(variant: Variant, seeds: list[int], runs: list[dict[str, Any]]) -> dict[str, Any]:
    made = origin("demos")
    strict = [run["robot_hours_to_strict_success"] for run in runs]
    return {
        "algorithm": variant.algorithm,
        "demonstrations": variant.demonstrations,
        "given_up_after": variant.give_up,
        "seeds": seeds,
        "robot_hours_to_success": [run["robot_hours_to_success"] for run in runs],
        "robot_hours_to_strict_success": strict,
        "median_robot_hours_to_strict_success": median_or_never(strict),
        "success_rate": [run["success_rate"] for run in runs],
        "strict_success_rate": [run["strict_success_rate"] for run in runs],
        "demonstrated_s": [run["demonstrated_s"] for run in runs],
        "demonstrated_success_rate": [run["demonstrated_success_rate"] for run in runs],
        "commit": made["commit"],
        "date": made["date"],
        "curves": [run["curve"] for run in runs],
    }


def _learn(name: str, root: str, variant_name: str, seed: int) -> dict[str, Any]:
    variant = VARIANTS[variant_name]
    demonstrations = shown(name, variant.demonstrations, variant.teacher_config, seed)
    config = RunConfig(
        name, algorithm=variant.algorithm, backend="sim", seed=seed, max_hours=variant.give_up,
        until="hours" if variant.algorithm == "bc" else "strict", settings=dict(variant.settings),
        evaluate_every=variant.evaluate_every,
        demos="shown by the scripted teacher" if demonstrations else "",
    )  # fmt: skip
    folder, summary = learn_in_process(root, variant_name, config, demonstrations, NUM_ENVS)
    summary["curve"] = Curve.of_rows(folder.metrics(), "strict_success_rate").pairs()
    summary["demonstrated_s"] = sum(e.time.robot_s for e in demonstrations)
    strict = [e.outcome.strict_success for e in demonstrations]
    summary["demonstrated_success_rate"] = sum(strict) / len(strict) if strict else None
    keys = ("task", "seed", "robot_hours_to_strict_success", "strict_success_rate", "wall_s")
    line = {"variant": variant_name} | {key: summary[key] for key in keys}
    print_row(line)
    return summary


def shown(name: str, count: int, teacher_config: TeacherConfig, seed: int) -> list[Episode]:
    """Return demonstrations of the scripted teacher.

    Args:
        name: of the task.
        count: number of demonstrations; may be 0.
        teacher_config: the teacher.
        seed: of starts, goals and the teacher's noise.
    """
    task = make_task(name)
    motions = demonstrate(task, teacher_config, seed, range(count)) if count else []
    return [to_episode(motion, task) for motion in motions]


def demos_table(result: Kept | None) -> str:
    """Return the table of what demonstrations are worth, one row for each way to learn."""
    if result is None:
        return NOT_YET
    tasks = result["tasks"]
    head = [f"`{task}`: robot-hours, median (seeds) | strict success at the end" for task in tasks]
    rows = [f"| 20 demonstrations, unless said otherwise | {' | '.join(head)} |"]
    rows.append("|---" * (1 + 2 * len(tasks)) + "|")
    for name, called in WAYS.items():
        cells = [cell for task in tasks for cell in _way_cells(tasks[task].get(name))]
        if any(cells):
            rows.append(f"| {called} | {' | '.join(cells)} |")
    return with_command(rows, result)


def _way_cells(row: Mapping[str, Any] | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    strict = fmean(row["strict_success_rate"])
    if row["algorithm"] == "bc":
        return "0, no robot", f"{strict:.0%}"
    seeds = ", ".join(hours_text(hours) for hours in row["robot_hours_to_strict_success"])
    return (
        f"**{hours_text(row['median_robot_hours_to_strict_success'])}** ({seeds})",
        f"{strict:.0%}",
    )


def _cell(result: Kept) -> str:
    texts = []
    for task, row in result["tasks"].items():
        if "dapg" in row:
            hours = hours_text(row["dapg"]["median_robot_hours_to_strict_success"])
            faster = f" ({result['speedups'][task]:.0f}x)" if task in result["speedups"] else ""
            texts.append(f"`{task}` **{hours}**{faster}")
    return (
        f"{', '.join(texts)}; [more](docs/results.md#demonstrations-on-the-claw)" if texts else ""
    )


BENCH = Bench(
    measure,
    options=DemosOptions,
    parts=("tasks", LIMITS),
    figure=Figure(
        "robot-hours to strict success with 20 demonstrations, median of 5 seeds "
        "(times faster than from nothing)",
        "valve 0.4, flip 0.6; 8x",
        _cell,
        key=True,
    ),
    tables=(Table("demos", demos_table),),
)
