"""Robot-minutes until a policy that fails on a faulty hand succeeds again, by `residual`.

HandelBot (arXiv:2603.12243) corrects a policy of a real hand in 30 min.

The base policy is the task's gait, which a search in simulation found on a healthy hand. A fault
makes it fail. The row has the base policy's success before and after the fault, and the robot time
of the correction. Beside it: learning from nothing on the faulty hand, by `rlpd`.

With a worn servo the correction has three robot-minutes, and its success after them counts.
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
from handlab_core.worlds.world import World
from handlab_learning.policy_files.base_policy import GAIT, read_base
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.evaluation import AFTER_TRAINING, Evaluator, summarize
from handlab_learning.runs.sampler import LocalSampler
from handlab_learning.runs.trainer import Trainer

NAME, TASK = "repair", "valve"

DEGRADED, LEAST = 3.0, 0.8
"""min, and success that is asked after them, of a hand with a worn servo."""

WORN_RESET = "motor_worn"
"""Reset of a hand whose joints cannot arrive."""

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
    strength: float = 1.0
    """Torque of the joint for an error, and its largest torque, times their own."""
    play: float = 0.0
    """rad; play of the joint's gear, end to end."""
    asked: float = 30.0
    """min; limit of the median."""
    worn: bool = False
    """Whether a servo is worn, so that its joint may not arrive in a reset."""


FAULTS = {
    "slipped": Fault("the horn of one servo has slipped by 0.3 rad", zero=-0.3),
    "slippery": Fault("the valve's surface has a tenth of its friction", friction=0.1),
    "weak": Fault("one servo has lost 30 % of its torque", strength=0.7, asked=DEGRADED, worn=True),
    "loose": Fault(
        "the gear of one servo has a play of 0.15 rad", play=0.15, asked=DEGRADED, worn=True
    ),
    "dead": Fault("one servo has no torque", strength=0.0, asked=DEGRADED, worn=True),
}
"""Faults by name, as the option `tasks` chooses them."""

JOINT = 1
"""Number of the faulty joint: the middle joint of the first finger, which pushes the lobes."""


def faulty_world(task: Task, fault: Fault) -> World:
    """Return the world of a faulty hand."""
    servos = task.hand.servos
    part, zero, play = np.ones(servos.n), np.zeros(servos.n), np.zeros(servos.n)
    part[JOINT], zero[JOINT], play[JOINT] = fault.strength, fault.zero, fault.play
    faulty = replace(
        servos,
        gain=part * servos.gain,
        loop_damping=part * servos.loop_damping,
        max_torque=part * servos.max_torque,
        zero=zero,
        backlash=servos.backlash + play,
    )
    return World(faulty, ObjectVariation(friction=fault.friction))


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
    ratios = [_ratio(name, row) for name, row in rows.items()]
    return Result(max(ratios, default=0.0), 1.0, "of the limits", {"rows": rows})


def _ratio(name: str, row: Mapping[str, Any]) -> float:
    """Return the median time, or with a worn servo the failures, in units of the limit."""
    fault, median = FAULTS[name], row["median_robot_minutes"]
    if fault.worn:
        return float((1.0 - np.median(row["success"])) / (1.0 - LEAST))
    return float("inf") if median is None else float(median) / fault.asked


def _row(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    made, minutes = origin(NAME), [run["robot_minutes"] for run in runs]
    keys = (
        "seed", "healthy", "faulty", "faulty_success", "success", "corrected", "robot_minutes",
        "scratch_minutes", "curve",
    )  # fmt: skip
    return {
        "what": FAULTS[name].what,
        **{key: [run[key] for run in runs] for key in keys},
        "median_robot_minutes": median_or_never(minutes),
        "median_scratch_minutes": median_or_never([run["scratch_minutes"] for run in runs]),
        "commit": made["commit"],
        "date": made["date"],
    }


def _repair(root: str, name: str, seed: int) -> dict[str, Any]:
    fault, place = FAULTS[name], Path(root, f"{name}-{seed}")
    own = make_task(TASK)
    task = replace(own, reset=WORN_RESET) if fault.worn else own
    base = read_base(RunConfig(TASK, algorithm="residual", base=GAIT))
    assert base is not None

    def sampler() -> LocalSampler:
        return fixed_sampler(task, 1, 1, world=faulty_world(task, fault))

    healthy = _rates(fixed_sampler(own, 1, 1), base, seed)
    faulty = _rates(sampler(), base, seed)
    found: dict[str, dict[str, Any]] = {"rlpd": {"robot_minutes": None}}
    for algorithm, given in (("residual", base), ("rlpd", None)):
        if fault.worn and given is None:
            continue
        limit = fault.asked if fault.worn else GIVE_UP
        config = RunConfig(
            TASK, algorithm=algorithm, backend="sim", seed=seed, max_hours=limit / 60,
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
        "healthy": healthy["strict_success_rate"],
        "faulty": faulty["strict_success_rate"],
        "faulty_success": faulty["success_rate"],
        "success": corrected["success_rate"],
        "corrected": corrected["strict_success_rate"],
        "robot_minutes": corrected["robot_minutes"],
        "scratch_minutes": found["rlpd"]["robot_minutes"],
        "curve": corrected["curve"],
    }
    shown_keys = {key: value for key, value in run.items() if key != "curve"}
    print_row({"fault": name} | shown_keys)
    return run


def _rates(sampler: Any, policy: Policy, seed: int) -> dict[str, Any]:
    """Return the success rates of a policy in 30 episodes."""
    return summarize(Evaluator(sampler, seed, 30).run(policy, AFTER_TRAINING))


def repair_table(result: Kept | None) -> str:
    """Return the table of corrections."""
    if result is None:
        return NOT_YET
    rows = [
        "| fault | base policy: strict success before, after | robot-minutes, median (seeds) | "
        "from nothing on the same hand |",
        "|---|---|---|---|",
    ]
    worn = [
        "| worn servo | base policy: success | success after at most 3 robot-minutes (seeds) | "
        "strict |",
        "|---|---|---|---|",
    ]
    for name, row in result["rows"].items():
        before, after = (f"{np.mean(row[key]):.0%}" for key in ("healthy", "faulty"))
        if FAULTS[name].worn:
            seeds = ", ".join(f"{rate:.0%}" for rate in row["success"])
            shown = f"**{np.median(row['success']):.0%}** ({seeds})"
            success = f"{np.mean(row['faulty_success']):.0%}"
            worn.append(
                f"| {row['what']} | {success} | {shown} | {np.median(row['corrected']):.0%} |"
            )
            continue
        seeds = ", ".join(minutes_text(minutes) for minutes in row["robot_minutes"])
        cells = (
            row["what"],
            f"{before}, {after}",
            f"**{minutes_text(row['median_robot_minutes'])}** ({seeds})",
            minutes_text(row["median_scratch_minutes"]),
        )
        rows.append(f"| {' | '.join(cells)} |")
    tables = [table for table in (rows, worn) if len(table) > 2]
    return with_command([line for table in tables for line in (*table, "")][:-1], result)


def _cell(result: Kept) -> str:
    texts = [
        f"{row['what']}: "
        + (f"**{np.median(row['success']):.0%}**" if FAULTS[name].worn else _median(row))
        for name, row in result["rows"].items()
    ]
    return "; ".join(texts)


def _median(row: Mapping[str, Any]) -> str:
    return f"**{minutes_text(row['median_robot_minutes'])}**"


BENCH = Bench(
    measure,
    options=RepairOptions,
    parts=("tasks", FAULTS),
    figure=Figure(
        "robot-minutes until a gait that fails on a faulty hand succeeds strictly again; with a "
        "worn servo success within 3",
        "30; 80 %",
        _cell,
    ),
    tables=(Table("repair", repair_table),),
)
