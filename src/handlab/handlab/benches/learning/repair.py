"""Robot-minutes until a policy that fails on a faulty hand succeeds again, by `residual`.

The base policy is the task's gait, which a search in simulation found on a healthy hand. A fault
makes it fail. The row has the base policy's success before and after the fault, and the robot time
of the correction. Beside it: learning from nothing on the faulty hand, by `rlpd`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from handlab.benches.formatting import NOT_YET, print_row, with_command
from handlab.benches.kept import chosen, kept
from handlab.benches.learning.every_seed import learn_all
from handlab.benches.learning.minutes import minutes_text
from handlab.benches.options import TasksOptions
from handlab.benches.result import Bench, Figure, Kept, Result, Table, origin
from handlab.experiments.samplers import fixed_sampler
from handlab.reporting.compare import median_or_never
from handlab.reporting.learning_curves import Curve
from handlab_core.environment.policies.policy import Policy
from handlab_core.system.validation import Count, checked
from handlab_core.tasks import Task, make_task
from handlab_core.tasks.variation import ObjectVariation
from handlab_core.types import Array
from handlab_core.worlds.world import World
from handlab_learning.policy_files.base_policy import GAIT, read_base
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.evaluation import AFTER_TRAINING, Evaluator, summarize
from handlab_learning.runs.sampler import LocalSampler
from handlab_learning.runs.trainer import Trainer

NAME, TASK = "repair", "valve"

LIMIT = 30.0
"""min; median of the seeds. HandelBot (arXiv:2603.12243) corrects a policy of a real hand in 30."""

GIVE_UP = 60.0
"""Robot-minutes after which a run ends."""


@dataclass(frozen=True)
class Fault:
    """A difference between the hand of the demonstrations and the hand that learns."""

    what: str
    """Description in the table."""
    zero: float = 0.0
    """rad; measured minus true angle of the joint, as after a servo horn has slipped."""
    friction: float = 1.0
    """Friction of the object's surface, times its own."""


FAULTS = {
    "slipped": Fault("the horn of one servo has slipped by 0.3 rad", zero=-0.3),
    "slippery": Fault("the valve's surface has a tenth of its friction", friction=0.1),
}
"""Faults by name, as the option `tasks` chooses them."""

JOINT = 1
"""Number of the faulty joint: the middle joint of the first finger, which pushes the lobes."""


def faulty_world(task: Task, fault: Fault) -> World:
    """Return the world of a faulty hand."""
    zero: Array = np.zeros(task.hand.n)
    zero[JOINT] = fault.zero
    return World(replace(task.hand.servos, zero=zero), ObjectVariation(friction=fault.friction))


@checked
class RepairOptions(TasksOptions):
    """Options of the bench."""

    seeds: Annotated[Count, Field(le=20, description="Number of seeds of each fault")] = 5


def measure(seed: int, options: RepairOptions) -> Result:
    """Correct the gait on every faulty hand; return the worst median in units of the limit."""
    names = chosen("tasks", options.tasks, FAULTS)
    seeds = range(seed, seed + options.seeds)
    runs = learn_all(_repair, names, seeds)
    measured = kept(NAME, "rows") | {name: _row(name, runs[name]) for name in names}
    rows = {name: measured[name] for name in FAULTS if name in measured}
    medians = [row["median_robot_minutes"] for row in rows.values()]
    worst = max((float("inf") if m is None else m for m in medians), default=0.0)
    return Result(worst, LIMIT, "robot-minutes", {"rows": rows})


def _row(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    made, minutes = origin(NAME), [run["robot_minutes"] for run in runs]
    keys = ("seed", "healthy", "faulty", "corrected", "robot_minutes", "scratch_minutes", "curve")
    return {
        "what": FAULTS[name].what,
        **{key: [run[key] for run in runs] for key in keys},
        "median_robot_minutes": median_or_never(minutes),
        "median_scratch_minutes": median_or_never([run["scratch_minutes"] for run in runs]),
        "commit": made["commit"],
        "date": made["date"],
    }


def _repair(root: str, name: str, seed: int) -> dict[str, Any]:
    fault, task, place = FAULTS[name], make_task(TASK), Path(root, f"{name}-{seed}")
    base = read_base(RunConfig(TASK, algorithm="residual", base=GAIT))
    assert base is not None

    def sampler() -> LocalSampler:
        return fixed_sampler(task, 1, 1, world=faulty_world(task, fault))

    healthy = _strict(fixed_sampler(task, 1, 1), base, seed)
    faulty = _strict(sampler(), base, seed)
    found = {}
    for algorithm, given in (("residual", base), ("rlpd", None)):
        config = RunConfig(
            TASK, algorithm=algorithm, backend="sim", seed=seed, max_hours=GIVE_UP / 60,
            base=GAIT if given else "", until="strict",
        )  # fmt: skip
        folder = RunFolder.create(place, config, datetime.now())
        trainer = Trainer(config, sampler(), base=given, first_sampler=sampler())
        summary = trainer.run(folder)
        hours = summary["robot_hours_to_strict_success"]
        summary["robot_minutes"] = None if hours is None else 60 * hours
        summary["curve"] = Curve.of_rows(folder.metrics(), "strict_success_rate").pairs()
        found[algorithm] = summary
    corrected = found["residual"]
    run = {
        "seed": seed,
        "healthy": healthy,
        "faulty": faulty,
        "corrected": corrected["strict_success_rate"],
        "robot_minutes": corrected["robot_minutes"],
        "scratch_minutes": found["rlpd"]["robot_minutes"],
        "curve": corrected["curve"],
    }
    shown_keys = {key: value for key, value in run.items() if key != "curve"}
    print_row({"fault": name} | shown_keys)
    return run


def _strict(sampler: Any, policy: Policy, seed: int) -> float:
    """Return the strict success rate of a policy in 30 episodes."""
    verdict = summarize(Evaluator(sampler, seed, 30).run(policy, AFTER_TRAINING))
    return float(verdict["strict_success_rate"])


def repair_table(result: Kept | None) -> str:
    """Return the table of corrections."""
    if result is None:
        return NOT_YET
    rows = [
        "| fault | base policy: strict success before, after | robot-minutes, median (seeds) | "
        "from nothing on the same hand |",
        "|---|---|---|---|",
    ]
    for row in result["rows"].values():
        before, after = (f"{np.mean(row[key]):.0%}" for key in ("healthy", "faulty"))
        seeds = ", ".join(minutes_text(minutes) for minutes in row["robot_minutes"])
        cells = (
            row["what"],
            f"{before}, {after}",
            f"**{minutes_text(row['median_robot_minutes'])}** ({seeds})",
            minutes_text(row["median_scratch_minutes"]),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return with_command(rows, result)


def _cell(result: Kept) -> str:
    texts = [f"{row['what']}: {_median(row)}" for row in result["rows"].values()]
    return "; ".join(texts)


def _median(row: Mapping[str, Any]) -> str:
    return f"**{minutes_text(row['median_robot_minutes'])}**"


BENCH = Bench(
    measure,
    options=RepairOptions,
    figure=Figure(
        "robot-minutes until a gait that fails on a faulty hand succeeds strictly again",
        "30 each",
        _cell,
    ),
    tables=(Table("repair", repair_table),),
)
