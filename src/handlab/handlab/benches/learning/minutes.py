"""Robot-minutes until a task is learned by the strict criterion, with off-policy learning.

From nothing, or from demonstrations of the scripted teacher. One world at a time in this process,
which gives the episodes of the graph bit for bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from handlab.benches.formatting import NOT_YET, print_row, with_command
from handlab.benches.kept import chosen, kept
from handlab.benches.learning.demos import shown
from handlab.benches.learning.every_seed import learn_all, learn_in_process
from handlab.benches.options import TasksOptions
from handlab.benches.result import Bench, Figure, Kept, Result, Table, origin
from handlab.reporting.compare import median_or_never
from handlab.reporting.learning_curves import Curve
from handlab_core.demonstrations.scripted_teacher import TeacherConfig
from handlab_learning.runs.config import RunConfig

NAME, ALGORITHM, SEEDS = "minutes", "rlpd", 5

KEEPING = 0.95
"""Limit, at least: strict success of the last policy as a part of the best one's."""

TEACHER = TeacherConfig(noise=0.02)


@dataclass(frozen=True)
class Row:
    """One task, learned from nothing or from demonstrations."""

    task: str
    median: float
    """min; limit of the median of all seeds."""
    worst: float
    """min; limit of the slowest seed."""
    start: str = "nothing"
    """Name of the start in the table."""
    demonstrations: int = 0
    teacher_config: TeacherConfig = TEACHER
    counted: bool = False
    """Add the robot time of the demonstrations."""

    @property
    def give_up(self) -> float:
        """Robot-minutes after which a run ends: room to show by how much a limit is missed."""
        return 1.5 * self.worst


ROWS = {
    "valve": Row("valve", 10.0, 20.0),
    "valve_one": Row("valve", 4.0, 8.0, "one demonstration", 1, counted=True),
    "valve_random": Row("valve_random", 30.0, 60.0),
    "valve_tracking": Row("valve_tracking", 60.0, 120.0),
    "flip": Row("flip", 12.0, 25.0),
    "flip_one": Row("flip", 8.0, 16.0, "one demonstration", 1, counted=True),
    "flip_slow": Row(
        "flip", 8.0, 16.0, "20 slow demonstrations", 20, replace(TEACHER, speed=0.6)
    ),
    "flip_failing": Row(
        "flip", 8.0, 16.0, "20 demonstrations, some fail", 20, replace(TEACHER, failures=0.3)
    ),
    "allegro_valve": Row("allegro_valve", 45.0, 90.0),
    "pose": Row("pose", 10.0, 20.0),
    "allegro_pose": Row("allegro_pose", 10.0, 20.0),
    "valve_foam": Row("valve_foam", 20.0, 40.0),
}  # fmt: skip
"""Rows by name, as the option `tasks` chooses them."""


def measure(seed: int, options: TasksOptions) -> Result:
    """Learn, and return the worst ratio of a median, a slowest seed or a loss to its limit."""
    names = chosen("tasks", options.tasks, ROWS)
    seeds = range(seed, seed + SEEDS)
    runs = learn_all(_learn, names, seeds, bench=" ".join((NAME, *names)))
    fresh = {name: _row(name, each) for name, each in runs.items()}
    measured = kept(NAME, "rows") | fresh
    rows = {name: measured[name] for name in ROWS if name in measured}
    ratios = [ratio(ROWS[name], row) for name, row in rows.items()]
    return Result(
        max(ratios, default=0.0), 1.0, "of the limits", {"rows": rows}
    )  # fmt: skip


def ratio(asked: Row, row: Mapping[str, Any]) -> float:
    """Return the largest of median, slowest seed and loss, in units of their limits.

    The loss is that of the run whose last policy is the worst part of its best one. Infinite: a
    run never succeeded, or kept nothing.
    """
    minutes = [float("inf") if m is None else float(m) for m in row["robot_minutes"]]
    median = row["median_robot_minutes"]
    middle = float("inf") if median is None else float(median)
    lost = KEEPING / least_kept(row) if least_kept(row) else float("inf")
    return max(middle / asked.median, max(minutes) / asked.worst, lost)


def _row(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    made, row = origin(NAME), ROWS[name]
    minutes = [run["robot_minutes"] for run in runs]
    return {
        "task": row.task,
        "start": row.start,
        "asked_median": row.median,
        "asked_worst": row.worst,
        "given_up_after": row.give_up,
        "seeds": [run["seed"] for run in runs],
        "robot_minutes": minutes,
        "median_robot_minutes": median_or_never(minutes),
        "demonstrated_s": [run["demonstrated_s"] for run in runs],
        "best_strict_success_rate": [run["best"]["strict_success_rate"] for run in runs],
        "last_strict_success_rate": [run["last"]["strict_success_rate"] for run in runs],
        "wall_s": [run["wall_s"] for run in runs],
        "commit": made["commit"],
        "date": made["date"],
        "curves": [run["curve"] for run in runs],
    }


def _learn(root: str, name: str, seed: int) -> dict[str, Any]:
    row = ROWS[name]
    episodes = shown(row.task, row.demonstrations, row.teacher_config, seed)
    demonstrated_s = sum(episode.time.robot_s for episode in episodes)
    config = RunConfig(
        row.task, algorithm=ALGORITHM, backend="sim", seed=seed, max_hours=row.give_up / 60,
        until="strict", demos="shown by the scripted teacher" if episodes else "",
    )  # fmt: skip
    folder, summary = learn_in_process(root, name, config, episodes)
    hours = summary["robot_hours_to_strict_success"]
    own = demonstrated_s / 60 if row.counted else 0.0
    summary["robot_minutes"] = None if hours is None else 60 * hours + own
    summary["demonstrated_s"] = demonstrated_s
    summary["curve"] = Curve.of_rows(folder.metrics(), "strict_success_rate").pairs()
    keys = ("task", "seed", "robot_minutes", "strict_success_rate", "wall_s")
    print_row({"row": name} | {k: summary[k] for k in keys})
    return summary


def minutes_text(minutes: float | None) -> str:
    """Return minutes as text; None: never."""
    return "never" if minutes is None else f"{minutes:.1f}"


def minutes_table(result: Kept | None) -> str:
    """Return the table of robot-minutes to strict success."""
    if result is None:
        return NOT_YET
    rows = [
        "| task | from | asked: median, worst | robot-minutes, median (seeds) | kept |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"].values():
        seeds = ", ".join(minutes_text(minutes) for minutes in row["robot_minutes"])
        median = minutes_text(row["median_robot_minutes"])
        asked = f"{row['asked_median']:g}, {row['asked_worst']:g}"
        cells = (
            f"`{row['task']}`",
            row["start"],
            asked,
            f"**{median}** ({seeds})",
            f"{least_kept(row):.0%}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return with_command(rows, result)


def least_kept(row: Mapping[str, Any]) -> float:
    """Return the least ratio of a run's last policy to its best one, in strict success."""
    pairs = zip(row["last_strict_success_rate"], row["best_strict_success_rate"], strict=True)
    return min((last / best if best else 0.0) for last, best in pairs)


def _cell(result: Kept) -> str:
    texts = [
        f"`{name}` **{minutes_text(result['rows'][name]['median_robot_minutes'])}**"
        for name in ("valve", "valve_one", "flip", "flip_one")
        if name in result["rows"]
    ]
    return f"{', '.join(texts)}; [more](docs/results.md#robot-minutes)" if texts else ""


BENCH = Bench(
    measure,
    options=TasksOptions,
    parts=("tasks", ROWS),
    figure=Figure(
        "robot-minutes to strict success by off-policy learning, median of 5 seeds: from nothing, "
        "and from one demonstration (`_one`)",
        "valve 10 and 4, flip 12 and 8",
        _cell,
        key=True,
    ),
    tables=(Table("minutes", minutes_table),),
)
