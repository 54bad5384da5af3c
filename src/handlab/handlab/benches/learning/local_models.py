"""Rollouts until the valve is turned from a fixed start: local models beside other learners.

A learner has learned at its first evaluation in which 90 % of 30 episodes succeed; the policy that
it hands out then is evaluated once more, on other episodes. One world at a time in this process,
which gives the episodes of the graph bit for bit. Other rows are the rollouts until local models
have learned tasks of the soft hand and of the Adroit hand, and the time of one update on episodes
of the size of an Adroit task. Rows that are not measured are kept.
"""

import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from handlab.benches.formatting import NOT_YET, print_row, with_command
from handlab.benches.kept import chosen, kept
from handlab.benches.learning.every_seed import learn_all
from handlab.benches.result import Bench, Figure, Kept, Result, Table, origin
from handlab.experiments.task_kinds import local_sampler
from handlab.reporting.compare import median_or_never
from handlab_core.environment.episode import (
    Episode,
    EpisodeKey,
    Outcome,
    RobotTime,
    Trajectory,
)
from handlab_core.system.validation import Count, Text, checked
from handlab_core.tasks import make_task
from handlab_core.tasks.adroit import find_task
from handlab_learning.algorithms.local_models import LocalModels, LocalModelsConfig
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.trainer import Trainer

NAME, TASK, SEEDS = "local_models", "valve", 5

LIMIT = 40
"""Rollouts; limit of the median of the local models."""

ADROIT, UPDATES = "adroit_turn_pen_pneumatic", 5
"""Task whose sizes the timed update has (100 steps), and number of timed updates."""

UPDATE = "update"
"""Name of the row with the time of an update."""


@dataclass(frozen=True)
class Row:
    """One learner."""

    give_up: int
    """Rollouts after which a run ends."""
    evaluate_every: int
    """Iterations between evaluations."""
    task: str = TASK
    algorithm: str = NAME
    episodes: int = 30
    """Episodes of an evaluation."""


ROWS = {
    "local_models": Row(100, 1),
    "rlpd": Row(200, 5, algorithm="rlpd"),
    "mpc": Row(130, 2, algorithm="mpc"),
    "npg": Row(4000, 5, algorithm="npg"),
}
"""Learners of the valve by algorithm."""

SOFT_LIMIT = 75
"""Rollouts; 15 iterations of 5; runs with the soft hand end there."""

SOFT = {name: Row(SOFT_LIMIT, 1, task=name) for name in ("soft_valve", "soft_bead", "soft_bottle")}
"""Runs with the soft hand by task."""

TURN_LIMIT, TURN_EPISODES = 60, 10
"""Rollouts; 12 iterations of 5; and episodes of an evaluation, which start almost alike."""

TURNS = {
    name: Row(TURN_LIMIT, 1, task=name, episodes=TURN_EPISODES)
    for name in (
        "adroit_turn_pen",
        "adroit_turn_rod",
        "adroit_turn_pen_pneumatic",
        "adroit_turn_rod_pneumatic",
    )
}
"""Runs with the Adroit hand by task."""

PARTS = (*ROWS, *SOFT, *TURNS, UPDATE)
"""Names of the rows, as the option `rows` chooses them."""


@checked
class LearnersOptions:
    """The part of the bench that is measured."""

    rows: Annotated[
        Text,
        Field(
            description="Learners of the valve, tasks of local models, or update, separated by "
            "commas; empty: all; others are kept"
        ),
    ] = ""
    seeds: Annotated[
        Count, Field(le=100, description="Seeds of each learner; a run that plans takes hours")
    ] = SEEDS
    processes: Annotated[Count, Field(le=1024, description="Runs side by side")] = (
        os.cpu_count() or 1
    )


def measure(seed: int, options: LearnersOptions) -> Result:
    """Learn, time the updates, and return the median rollouts of the local models."""
    names = chosen("rows", options.rows, PARTS)
    seeds = range(seed, seed + options.seeds)
    runs = learn_all(_learn, [n for n in names if n != UPDATE], seeds, options.processes)
    rows, soft, turns = (
        _joined(part, {n: _row(known[n], runs[n]) for n in runs if n in known}, known)
        for part, known in (("rows", ROWS), ("soft", SOFT), ("adroit", TURNS))
    )
    own = rows[NAME]["median_rollouts"] if NAME in rows else None
    value = float("inf") if own is None else float(own)
    timed = _timed(seed) if UPDATE in names else kept(NAME, UPDATE)
    details = {"rows": rows, "soft": soft, "adroit": turns, UPDATE: timed}
    return Result(value, LIMIT, "rollouts", details)


def _joined(part: str, fresh: Mapping[str, Any], known: Mapping[str, Row]) -> dict[str, Any]:
    """Return the kept rows of a part of the result with the fresh ones, in the known order."""
    measured = {**kept(NAME, part), **fresh}
    return {name: measured[name] for name in known if name in measured}


def _timed(seed: int) -> dict[str, Any]:
    made = origin(NAME)
    seconds = update_seconds(seed)
    return {"task": ADROIT, "s": seconds, "commit": made["commit"], "date": made["date"]}


def _row(row: Row, runs: list[dict[str, Any]]) -> dict[str, Any]:
    made, rollouts = origin(NAME), [run["rollouts"] for run in runs]
    return {
        "seeds": [run["seed"] for run in runs],
        "rollouts": rollouts,
        "median_rollouts": median_or_never(rollouts),
        "given_up_after": row.give_up,
        "success_rate": [run["success_rate"] for run in runs],
        "robot_minutes": [run["robot_minutes"] for run in runs],
        "wall_s": [run["wall_s"] for run in runs],
        "commit": made["commit"],
        "date": made["date"],
    }


def _learn(root: str, name: str, seed: int) -> dict[str, Any]:
    row = (ROWS | SOFT | TURNS)[name]
    config = RunConfig(
        row.task, algorithm=row.algorithm, backend="sim", seed=seed, max_hours=100.0,
        until="success", streak=1, evaluate_every=row.evaluate_every,
        evaluation_episodes=row.episodes,
    )  # fmt: skip
    folder = RunFolder.create(Path(root, name), config, datetime.now())
    sampler, first = (local_sampler(config.make_task(), 1, 1) for _ in range(2))

    def rollouts() -> int:
        return trainer.progress.iteration * trainer.algorithm.episodes_per_iteration

    trainer = Trainer(config, sampler, first_sampler=first, stop=lambda: rollouts() >= row.give_up)
    summary = trainer.run(folder)
    learned = summary["robot_hours_to_success"] is not None
    figures = {
        "name": name,
        "seed": seed,
        "rollouts": rollouts() if learned else None,
        "success_rate": summary["success_rate"],
        "robot_minutes": 60 * summary["robot_hours"],
        "wall_s": summary["wall_s"],
    }
    print_row(figures)
    return figures


def update_seconds(seed: int) -> float:
    """Return the median time of one update on one core, with episodes of an Adroit task's size."""
    spaces, rng = find_task(ADROIT).spaces, np.random.default_rng(seed)
    learner = LocalModels(spaces, LocalModelsConfig(search_iterations=1), seed)
    times = []
    for _ in range(UPDATES + 4):  # the memory of the prior is full after four
        episodes = [_walk(learner, rng, index) for index in range(learner.episodes_per_iteration)]
        began = time.process_time()
        learner.update(episodes)
        times.append(time.process_time() - began)
    return statistics.median(times[4:])


def _walk(learner: LocalModels, rng: np.random.Generator, number: int) -> Episode:
    """Return an episode of a random walk that the actions push."""
    policy = learner.policy().begin()
    spaces = find_task(ADROIT).spaces
    noise = policy.noise(rng, spaces.steps)
    push = 0.05 * np.random.default_rng(0).normal(size=(spaces.action, spaces.observation))
    seen, actions = [0.1 * rng.normal(size=spaces.observation)], []
    for t in range(spaces.steps):
        actions.append(policy.act(seen[-1][None], noise[t][None])[0])
        drift = 0.01 * rng.normal(size=spaces.observation)
        seen.append(0.98 * seen[-1] + actions[-1] @ push + drift)
    observations = np.stack(seen)
    rewards = -np.square(observations[1:]).sum(axis=1)
    path = Trajectory(
        observations, np.stack(actions), rewards, rewards[:, None], observations[1:, 0], np.zeros(1)
    )
    key = EpisodeKey(number, 0, policy.version, deterministic=False)
    time_of_robot = RobotTime(spaces.steps * make_task(TASK).period)
    return Episode(key, path, Outcome(False, False), time_of_robot, np.zeros(0))


def rollouts_text(rollouts: float | None) -> str:
    """Return a number of rollouts as text; None: never."""
    return "never" if rollouts is None else f"{rollouts:.0f}"


def rollouts_table(result: Kept | None) -> str:
    """Return the table of rollouts until the valve is turned."""
    return _table("learner", {} if result is None else result["rows"])


def soft_table(result: Kept | None) -> str:
    """Return the table of rollouts until the tasks of the soft hand are learned."""
    return _table("task", {} if result is None else result.get("soft", {}))


def turns_table(result: Kept | None) -> str:
    """Return the table of rollouts until objects are turned in the Adroit hand."""
    return _table("task", {} if result is None else result.get("adroit", {}))


def _table(what: str, measured: Mapping[str, Mapping[str, Any]]) -> str:
    if not measured:
        return NOT_YET
    rows = [
        f"| {what} | rollouts, median (seeds) | robot-minutes | success of the policy handed out |",
        "|---|---|---|---|",
    ]
    for name, row in measured.items():
        rows.append(f"| {' | '.join(_cells(name, row))} |")
    command = f"./handlab bench {NAME} --rows {','.join(measured)} --write"
    return with_command(rows, {"command": command})


def _cells(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    seeds = ", ".join(rollouts_text(rollouts) for rollouts in row["rollouts"])
    median = rollouts_text(row["median_rollouts"])
    minutes = statistics.median(row["robot_minutes"])
    rates = ", ".join(f"{rate:.0%}" for rate in row["success_rate"])
    return f"`{name}`", f"**{median}** ({seeds})", f"{minutes:.1f}", rates


def _cell(result: Kept) -> str:
    row = result["rows"].get(NAME)
    if row is None:
        return ""
    rollouts = _cells(NAME, row)[1]
    timed = result.get(UPDATE)
    update = f", an update takes {timed['s']:.2f} s" if timed else ""
    return f"{rollouts}{update}; [more](docs/results.md#rollouts-by-local-models)"


BENCH = Bench(
    measure,
    options=LearnersOptions,
    figure=Figure(
        "rollouts until the valve is turned by local models, median of 5 seeds; one update of the "
        "size of an Adroit task",
        "40; under 2 s",
        _cell,
    ),
    tables=(
        Table("local_models", rollouts_table),
        Table("local_models_soft", soft_table),
        Table("local_models_adroit", turns_table),
    ),
    parts=("rows", PARTS),
)
