"""Transfer of policies from simulation to hands that training has never seen.

Policies learn with worlds of each level of randomisation, and act without further training on the
ten claws of `handlab.emulation.realities`. `fitted` knows a claw by `./handlab bench identify`, and
learns a policy for each claw. Where a policy succeeds strictly in less than 95 % of the episodes,
`residual` corrects it on that claw, for at most five robot-minutes.

Every policy is kept as soon as it is measured, in runs/bench-transfer. A bench that was broken off
goes on with the next policy.

The claws are simulated in this process: their world with the servo model of the emulator, its time
step and its encoders, and with the latency of a driver's cycle. The same policy also acts through
the emulated wires of all claws, in real time, as a check.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from handlab.benches.formatting import NOT_YET, print_row, with_command
from handlab.benches.kept import chosen, kept
from handlab.benches.result import Bench, Figure, Kept, Result, Table
from handlab.benches.wire import identification
from handlab.benches.wire.simulated_claws import PROBES
from handlab.benches.wire.transfer_job import (
    ALL,
    ITERATIONS,
    NAME,
    TASK,
    Job,
    fitted_values,
    judged,
    run_job,
)
from handlab.emulation.realities import CLAW, emulate_claw, realities, reality
from handlab.experiments.evaluation import evaluate
from handlab.experiments.parallelism import processes
from handlab.graph.config import GraphConfig, on_machine
from handlab_core.system.validation import Count, Flag, Text, checked
from handlab_core.system.workers import worker_pool
from handlab_core.tasks import make_task
from handlab_core.worlds.levels import FITTED, FULL, LEVELS
from handlab_hardware.station_file import station_path
from handlab_learning.policy_files import saved_policy

ASKED = 0.9
"""Strict success that is asked at once."""

WIRE_EPISODES = 3
"""Episodes through the emulated wire of each claw."""


@checked
class TransferOptions:
    """Parts of the bench."""

    levels: Annotated[
        Text,
        Field(
            description="Levels of randomisation to measure, separated by commas; empty: all; "
            "others are kept"
        ),
    ] = ""
    claws: Annotated[
        Text,
        Field(
            description="Numbers of the claws that policies of the level fitted learn for, "
            "separated by commas; empty: all"
        ),
    ] = ""
    seeds: Annotated[Count, Field(le=20, description="Number of policies of each level")] = 5
    iterations: Annotated[
        Count, Field(le=10_000, description="Iterations of each training, 64 episodes each")
    ] = ITERATIONS
    correct: Annotated[
        Flag, Field(description="Also correct policies that fail, by residual; takes hours")
    ] = True
    wire: Annotated[
        Flag, Field(description="Also let a policy of the level full act through every wire")
    ] = True
    again: Annotated[Flag, Field(description="Measure policies again that are kept")] = False


def measure(seed: int, options: TransferOptions) -> Result:
    """Train, transfer and correct; return the best strict success of full and fitted policies."""
    levels = chosen("levels", options.levels, LEVELS)
    fitted = [int(number) for number in chosen("claws", options.claws, identification.CLAWS)]
    if FITTED in levels:
        for number in fitted:
            fitted_values(number)  # before hours of training
    jobs = [
        Job(level, number, own, options.iterations, options.correct)
        for level in levels
        for number in (fitted if level == FITTED else [ALL])
        for own in range(seed, seed + options.seeds)
    ]
    runs, wired = kept(NAME, "runs"), kept(NAME, "wire")
    if not options.again:
        jobs = [job for job in jobs if not job.is_kept(runs)]
    with worker_pool(processes()) as pool:
        runs |= {run["name"]: run for run in pool.map(run_job, jobs)}
    full = Job(FULL, ALL, seed, options.iterations, options.correct)
    if options.wire and FULL in levels and full.result.exists():
        wired = _through_wires(full.place, seed)
    by_level = {level: [run for run in runs.values() if run["level"] == level] for level in LEVELS}
    rows = {level: _row(own) for level, own in by_level.items() if own}
    best = max((rows[name]["strict"] for name in (FULL, FITTED) if name in rows), default=0.0)
    details = {"levels": rows, "wire": wired, "runs": runs}
    return Result(best, ASKED, "zero-shot strict success", details)


def _row(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of one level; a list for each claw has one value for each policy."""
    numbers = sorted({int(n) for run in runs for n in run["claws"]})

    def each(key: str) -> list[list[Any]]:
        known = [[run["claws"].get(str(n), {}) for run in runs] for n in numbers]
        return [[row[key] for row in rows if key in row] for rows in known]

    strict, corrected = each("strict"), each("corrected")
    row = {
        "policies": len({run["seed"] for run in runs}),
        "numbers": numbers,
        "strict": _mean(strict),
        "least": min(float(np.mean(rates)) for rates in strict),
        "simulated": float(np.mean([run["simulated"] for run in runs])),
        "claws": {"strict": strict, "success": each("success")},
        "probes": {name: [run["probes"][name] for run in runs] for name in PROBES},
        "wall_s": float(np.median([run["wall_s"] for run in runs])),
    }
    if all(corrected):
        row |= {
            "corrected": _mean(corrected),
            "least_corrected": min(float(np.mean(rates)) for rates in corrected),
            "minutes": each("minutes"),
        }
    if runs[0]["level"] == FITTED and len(numbers) > 2:
        lost = [float(np.mean(values)) for values in each("lost_return")]
        errors = [_fit_error(number) for number in numbers]
        row["fit_errors"], row["lost_return"] = errors, lost
        row["rank_correlation"] = rank_correlation(errors, lost)
    return row


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's correlation: that of the ranks; equal values share their mean rank."""
    ranks = [
        [np.mean(np.flatnonzero(np.sort(values) == value)) for value in values]
        for values in (one, other)
    ]
    return float(np.corrcoef(ranks)[0, 1])


def _mean(rates: Sequence[Sequence[float]]) -> float:
    """Return the mean over claws of the mean over policies."""
    return float(np.mean([np.mean(each) for each in rates]))


def _fit_error(number: int) -> float:
    """Return the mean error of a claw's fit, each in units of the largest that is asked."""
    truth = identification.truth_of(reality(CLAW, number))
    errors = identification.errors_of(fitted_values(number), truth)
    return float(np.mean([error / identification.MOST[name] for name, error in errors.items()]))


def _through_wires(place: Path, seed: int) -> dict[str, Any]:
    """Return the strict success of a policy on every claw, through its emulated wire and not."""
    [run] = (place / "runs").iterdir()
    task, station = make_task(TASK), str(station_path(CLAW))
    policy = saved_policy.load(run).policy(task)
    wired, simulated = [], []
    for number, world in enumerate(realities(CLAW)):
        port = place / f"port{number}"
        with emulate_claw(number, port):
            graph = on_machine(GraphConfig(pace="real"), "dynamixel", station, str(port))
            verdict = evaluate(run, WIRE_EPISODES, seed, graph)
        wired.append(verdict["strict_success_rate"])
        simulated.append(judged(task, world, policy, seed)["strict_success_rate"])
        print_row({"claw": number, "wire": wired[-1]})
    return {"episodes": WIRE_EPISODES, "strict": wired, "simulated": simulated}


def transfer_table(result: Kept | None) -> str:
    """Return the table of levels."""
    if result is None:
        return NOT_YET
    rows = [
        "| trained with: policies | in its own worlds | on unseen claws (worst claw) | after 5 "
        f"robot-minutes of `residual` | {' | '.join(probe.what for probe in PROBES.values())} |",
        f"|---|---|---|---|{'---|' * len(PROBES)}",
    ]
    for level, row in result["levels"].items():
        after = NOT_YET
        if "corrected" in row:
            after = f"{row['corrected']:.0%} ({row['least_corrected']:.0%})"
        cells = [
            f"`{level}`: {row['policies']}",
            f"{row['simulated']:.0%}",
            f"**{row['strict']:.0%}** ({row['least']:.0%}) of {len(row['numbers'])} claws",
            after,
            *(f"{np.mean(rates):.0%}" for rates in row["probes"].values()),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    notes = []
    fitted = result["levels"].get(FITTED, {})
    if "rank_correlation" in fitted:
        notes.append(
            f"Rank correlation of the fit's error and the lost return over the claws: "
            f"{fitted['rank_correlation']:.2f}."
        )
    if wired := result["wire"]:
        notes.append(
            f"A policy of `full` through the emulated wires of all claws, {wired['episodes']} "
            f"episodes each: {np.mean(wired['strict']):.0%}; in this process "
            f"{np.mean(wired['simulated']):.0%}."
        )
    return with_command([*rows, *(line for note in notes for line in ("", note))], result)


def _cell(result: Kept) -> str:
    parts = []
    for level, row in result["levels"].items():
        after = f", corrected {row['corrected']:.0%}" if "corrected" in row else ""
        parts.append(f"`{level}` **{row['strict']:.0%}**{after}")
    return f"{'; '.join(parts)}; [more](docs/results.md#transfer)"


BENCH = Bench(
    measure,
    TransferOptions,
    figure=Figure(
        "strict success of policies on ten claws that training never saw, at once and after five "
        "robot-minutes",
        "90 %, then 95 %",
        _cell,
        key=True,
    ),
    tables=(Table("transfer", transfer_table),),
)
