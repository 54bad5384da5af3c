"""The reference policies in policies/: learn each task, and judge its file by fresh episodes.

One world at a time in this process. `--write` replaces the files of the tasks that were learned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handlab.benches.formatting import NOT_YET, print_row, rate_text, with_command
from handlab.benches.kept import chosen, kept
from handlab.benches.learning.demos import shown
from handlab.benches.learning.every_seed import learn_all, learn_in_process
from handlab.benches.options import TasksOptions
from handlab.benches.result import Bench, Kept, Result, Table, origin
from handlab.experiments.evaluation import evaluate
from handlab.experiments.exporting import export_run
from handlab.experiments.pretrained import policy_path
from handlab_core.demonstrations.scripted_teacher import TeacherConfig
from handlab_core.system.files import write_atomically
from handlab_learning.policy_files.skill_file import SUFFIX
from handlab_learning.runs.config import RunConfig

NAME, ALGORITHM = "pretrained", "rlpd"

EPISODES = 30
"""Number of fresh episodes that judge a file."""

LIMIT = 0.1
"""Share of failed episodes, at most, of the worst file; so a task counts as learned."""

TEACHER = TeacherConfig(noise=0.02)


@dataclass(frozen=True)
class Row:
    """The way to one file."""

    give_up: float
    """Robot-minutes after which a run ends."""
    demonstrations: int = 0


ROWS = {
    "valve": Row(30.0, 1),
    "pose": Row(30.0, 1),
    "flip": Row(30.0, 1),
    "allegro_pose": Row(30.0),
    "valve_foam": Row(60.0, 1),
    "leap_pose": Row(30.0),
}
"""Ways by task."""


def measure(seed: int, options: TasksOptions) -> Result:
    """Learn the tasks and return the share of failed episodes of the worst file."""
    names = chosen("tasks", options.tasks, ROWS)
    runs = {name: runs[0] for name, runs in learn_all(_learn, names, [seed]).items()}
    made = origin(NAME)
    fresh = {
        name: row | {"commit": made["commit"], "date": made["date"]}
        for name, (row, _) in runs.items()
    }
    measured = kept(NAME, "tasks") | fresh
    tasks = {name: measured[name] for name in ROWS if name in measured}
    worst = max(1.0 - row["success_rate"] for row in tasks.values())

    def write() -> None:
        for name, (_, content) in runs.items():
            policy_path(name).parent.mkdir(exist_ok=True)
            write_atomically(policy_path(name), content)

    return Result(worst, LIMIT, "of the episodes failed, worst file", {"tasks": tasks}, write)


def _learn(root: str, name: str, seed: int) -> tuple[dict[str, Any], bytes]:
    row = ROWS[name]
    episodes = shown(name, row.demonstrations, TEACHER, seed)
    config = RunConfig(
        name, algorithm=ALGORITHM, backend="sim", seed=seed, max_hours=row.give_up / 60,
        until="strict", demos="shown by the scripted teacher" if episodes else "",
    )  # fmt: skip
    folder, summary = learn_in_process(root, name, config, episodes)
    path, _ = export_run(folder.path, Path(root, f"{name}-{seed}{SUFFIX}"))
    verdict = evaluate(path, EPISODES, seed, num_envs=1, threads=1)
    content = path.read_bytes()
    result = {
        "seed": seed,
        "demonstrations": row.demonstrations,
        "robot_minutes": 60 * summary["robot_hours"],
        "wall_s": summary["wall_s"],
        "bytes": len(content),
    } | {
        key: value
        for key, value in verdict.items()
        if key.startswith(("success_rate", "strict_success_rate"))
        or key in ("episodes", "interval", "mean_return")
    }
    line = {"task": name} | result
    print_row(line)
    return result, content


def pretrained_table(result: Kept | None) -> str:
    """Return the table of the reference policies."""
    if result is None:
        return NOT_YET
    rows = [
        "| file | learned from | robot-minutes | success of fresh episodes |",
        "|---|---|---|---|",
    ]
    rows += [_line(name, row) for name, row in result["tasks"].items()]
    return with_command(rows, result)


def _line(name: str, row: Mapping[str, Any]) -> str:
    start = "one demonstration" if row["demonstrations"] else "nothing"
    cells = (
        f"`policies/{name}{SUFFIX}`",
        start,
        f"{row['robot_minutes']:.1f}",
        f"{rate_text(row)}, {row['episodes']} episodes",
    )
    return f"| {' | '.join(cells)} |"


BENCH = Bench(measure, options=TasksOptions, tables=(Table(NAME, pretrained_table),))
