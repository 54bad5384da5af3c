"""The Adroit suite: success of DAPG beside cloning alone and natural gradient from nothing.

Door and relocate are learned once more with objects that differ from episode to episode, and both
policies are judged over the range.

A run has 60 iterations of 200 trajectories, or fewer: it ends when two evaluations of 100 episodes
in a row reach the limit. The result comes from another 100 episodes, without noise, by the
published rule (`handlab_core.tasks.adroit`).
"""

import resource
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from handlab.benches.formatting import NOT_YET, print_row, rate_text, with_command
from handlab.benches.kept import chosen, kept
from handlab.benches.options import TasksOptions
from handlab.benches.result import Bench, Figure, Kept, Result, Table, origin
from handlab.experiments import training
from handlab.experiments.robustness import evaluate_varied
from handlab.reporting.learning_curves import Curve, kept_ways, ways
from handlab_core.errors import BadConfig
from handlab_core.system.paths import share
from handlab_core.system.validation import Text, checked
from handlab_core.system.workers import worker_pool
from handlab_core.tasks.adroit import NPG, SUITE
from handlab_core.tasks.variation import parse_variations
from handlab_learning.runs.config import RunConfig

ITERATIONS, VARIED_ITERATIONS = 60, 120
"""At most; many objects are more to learn than one."""

VARIED = "dapg_varied"

METHODS = ("dapg", VARIED, "bc", "npg")

PICTURE = Path("docs", "images", "adroit.png")
DRAWN = {"dapg": "DAPG", VARIED: "DAPG, objects vary", "npg": "natural gradient from nothing"}

ENSEMBLES = {
    "adroit_door": ("object.mass=0.5:4", "object.damping=0.5:4"),
    "adroit_relocate": ("object.scale=0.7:1.3", "object.mass=0.5:2"),
}
"""Variations of the object, by task, that `dapg_varied` learns with; a door's size cannot vary."""

POINTS, EPISODES = 5, 50
"""Number of values of each varied range, its ends included, and of episodes at each value."""


@dataclass(frozen=True)
class Asked:
    """The limit of a task, and the demonstrations that it is learned from."""

    success: float
    """Success rate that is asked for, 0 to 1."""
    dataset: str
    """Name of a Minari dataset."""


ASKED = {
    "adroit_door": Asked(0.9, "D4RL/door/human-v2"),
    "adroit_hammer": Asked(0.9, "D4RL/hammer/human-v2"),
    "adroit_pen": Asked(0.8, "D4RL/pen/human-v2"),
    "adroit_relocate": Asked(0.9, "D4RL/relocate/human-v2"),
}


@checked
class AdroitOptions(TasksOptions):
    """Options of the bench."""

    methods: Annotated[
        Text,
        Field(description="Methods to measure, separated by commas; empty: all; others are kept"),
    ] = ""
    datasets: Annotated[
        Text, Field(description="Other demonstrations: adroit_door=NAME,adroit_pen=NAME")
    ] = ""


def measure(seed: int, options: AdroitOptions) -> Result:
    """Learn the suite and return the worst ratio of success to its limit."""
    tasks = chosen("tasks", options.tasks, ASKED)
    methods = chosen("methods", options.methods, METHODS)
    others = _datasets(options.datasets)
    rows: dict[str, dict[str, Any]] = {task: {} for task in ASKED} | kept("adroit", "tasks")
    for task in tasks:
        for method in [m for m in methods if m != VARIED or task in ENSEMBLES]:
            rows[task][method] = _learn(task, method, others.get(task, ASKED[task].dataset), seed)
    shares = [
        row["dapg"]["success_rate"] / ASKED[task].success
        for task, row in rows.items()
        if "dapg" in row
    ]
    asked = {task: limits.success for task, limits in ASKED.items()}
    details = {"asked": asked, "iterations": ITERATIONS, "tasks": rows}
    unit = "of the success asked for"
    return Result(
        min(shares, default=0.0), 1.0, unit, details, lambda: draw(rows, share() / PICTURE)
    )


def draw(rows: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the kept learning curves."""
    ways(kept_ways(rows, DRAWN, lambda kept: [kept["curve"]]), path)


def _datasets(text: str) -> dict[str, str]:
    pairs = [pair for pair in text.split(",") if pair]
    named = dict(pair.partition("=")[::2] for pair in pairs)
    if not set(named) <= set(ASKED) or not all(named.values()):
        raise BadConfig(f"--datasets must be TASK=NAME,..., tasks of {', '.join(ASKED)}")
    return named


def _learn(task: str, method: str, dataset: str, seed: int) -> dict[str, Any]:
    """Carry out one run in a process of its own, so that its CPU time is known."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory(prefix="handlab-") as root, worker_pool(1) as pool:
        row = pool.submit(_run, root, task, method, dataset, seed).result()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    row["cpu_s"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    made = origin("adroit")
    row |= {"commit": made["commit"], "date": made["date"]}
    line = {"task": task, "method": method} | {k: v for k, v in row.items() if k != "curve"}
    print_row(line)
    return row


def _run(root: str, task: str, method: str, dataset: str, seed: int) -> dict[str, Any]:
    limits, suite_task = ASKED[task], SUITE.make(task)
    ensemble = ENSEMBLES.get(task, ())
    algorithm = "dapg" if method == VARIED else method
    iterations = VARIED_ITERATIONS if method == VARIED else ITERATIONS
    episodes = NPG["episodes_per_iteration"]
    assert isinstance(episodes, int)
    steps = (iterations * episodes - 1) * suite_task.steps
    config = RunConfig(
        task, algorithm=algorithm, backend="sim", seed=seed, evaluation_episodes=100, streak=2,
        success_rate=limits.success, demos="" if method == "npg" else dataset,
        vary=list(ensemble) if method == VARIED else [],
        until="hours" if method == "bc" else "success",
        max_hours=steps * suite_task.period / 3600,
    )  # fmt: skip
    folder = training.new_run(config, Path(root))
    summary = training.train(folder, resume=False)
    row = {
        "dataset": config.demos,
        "seed": seed,
        "success_rate": summary["success_rate"],
        "episodes": summary["evaluation_episodes"],
        "iterations": summary["iterations"] if method != "bc" else 0,
        "robot_hours": summary["robot_hours"],
        "robot_hours_to_success": summary["robot_hours_to_success"],
        "wall_s": summary["wall_s"],
        "curve": Curve.of_rows(folder.metrics()).pairs(),
    }
    if algorithm == "dapg" and ensemble:
        row["vary"] = _over(folder.path, ensemble, seed)
    return row


def _over(run: Path, ensemble: Sequence[str], seed: int) -> dict[str, list[tuple[float, float]]]:
    """Return pairs (value, success rate) by variation; the others stay at their nominal value."""
    judged = evaluate_varied(run, parse_variations(ensemble), POINTS, EPISODES, seed)["vary"]
    return {n: [(row["value"], row["success_rate"]) for row in rows] for n, rows in judged.items()}


def adroit_table(result: Kept | None) -> str:
    """Return the table of the suite, one row for each task."""
    if result is None:
        return NOT_YET
    rows = [
        "| task | asked | DAPG | iterations | robot-hours | minutes (CPU) | cloning alone "
        "| natural gradient from nothing | demonstrations |",
        "|---" * 9 + "|",
    ]
    for task, row in result["tasks"].items():
        if not row:
            continue
        rates = [
            rate_text(row[name], mark="**" if name == "dapg" else "")
            if name in row
            else "not measured"
            for name in ("dapg", "bc", "npg")
        ]
        spent = ["", "", ""]
        if (dapg := row.get("dapg")) is not None:
            minutes = f"{dapg['wall_s'] / 60:.0f} ({dapg['cpu_s'] / 60:.0f})"
            spent = [f"{dapg['iterations']}", f"{dapg['robot_hours']:.2f}", minutes]
        dataset = row.get("dapg", row.get("bc", {"dataset": ""}))["dataset"]
        asked = f"{result['asked'][task]:.0%}"
        cells = (f"`{task}`", asked, rates[0], *spent, *rates[1:], dataset)
        rows.append(f"| {' | '.join(cells)} |")
    return with_command(rows, result)


def robust_table(result: Kept | None) -> str:
    """Return success over a range, of policies that learned with one object or with many."""
    tasks = result["tasks"] if result else {}
    lines = []
    for task, row in tasks.items():
        learned = {"one object": row.get("dapg", {}), "many": row.get("dapg_varied", {})}
        for quantity in learned["one object"].get("vary", {}):
            values = [f"{value:g}" for value, _ in learned["one object"]["vary"][quantity]]
            lines += ["", f"| `{task}`, `{quantity}` | {' | '.join(values)} |"]
            lines.append("|---" * (1 + len(values)) + "|")
            for called, run in learned.items():
                if rates := [f"{rate:.0%}" for _, rate in run.get("vary", {}).get(quantity, [])]:
                    lines.append(f"| learned with {called} | {' | '.join(rates)} |")
    return "\n".join(lines).strip() or NOT_YET


def _cell(result: Kept) -> str:
    texts = [
        f"{task.removeprefix('adroit_')} {rate_text(row['dapg'])}"
        for task, row in result["tasks"].items()
        if "dapg" in row
    ]
    return f"{', '.join(texts)}; [more](docs/results.md#the-adroit-suite)" if texts else ""


BENCH = Bench(
    measure,
    options=AdroitOptions,
    figure=Figure(
        "the Adroit suite by DAPG: success of 100 episodes",
        "90 % each, pen 80 %",
        _cell,
        key=True,
    ),
    tables=(
        Table("adroit", adroit_table),
        Table("robust", robust_table),
    ),
)
