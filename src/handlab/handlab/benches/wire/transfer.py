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

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from handlab.benches.formatting import NOT_YET, print_row, with_command
from handlab.benches.kept import chosen, kept
from handlab.benches.result import Bench, Figure, Kept, Result, Table, as_text, origin
from handlab.benches.wire import identification
from handlab.emulation.realities import CLAW, TIMESTEP, emulate_claw, realities, reality
from handlab.experiments.demonstrations import demonstrations_of, source
from handlab.experiments.evaluation import evaluate
from handlab.experiments.parallelism import processes
from handlab.experiments.task_kinds import local_sampler
from handlab.graph.config import GraphConfig, on_machine
from handlab.identification.identify import as_fit
from handlab_core.environment.env import Env
from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.station import LocalStation
from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.hands.servo import TICK
from handlab_core.system.files import read_json, write_atomically
from handlab_core.system.validation import Count, Flag, Text, checked
from handlab_core.system.workers import worker_pool
from handlab_core.tasks import Task, make_task
from handlab_core.types import Array
from handlab_core.worlds.fitted import read_fit, servos_of_fit, write_fit
from handlab_core.worlds.levels import FITTED, FULL, LEVELS
from handlab_core.worlds.world import Signals, World
from handlab_hardware.station_file import station_path
from handlab_learning.policy_files import saved_policy
from handlab_learning.policy_files.base_policy import GAIT
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.evaluation import AFTER_TRAINING, Evaluator, summarize
from handlab_learning.runs.sampler import LocalSampler
from handlab_learning.runs.trainer import Trainer
from handlab_sim.backend import MujocoBackend
from handlab_sim.identification.fit import ServoFit
from handlab_sim.scene import SceneConfig

NAME, TASK, ALGORITHM = "transfer", "valve", "dapg"

WORLDS, ITERATIONS = 64, 20
"""Episodes of an iteration, each in a world of its own, and iterations of a training; more of them
improve strict success in the full worlds by less than its noise."""

EPISODES = 30
"""Episodes of one policy on one claw."""

ASKED, CORRECTED, MINUTES = 0.9, 0.95, 5.0
"""Strict success that is asked at once, and after so many robot-minutes of correction."""

CYCLE = 0.01
"""s; a driver's cycle at 100 Hz: commands wait for it, measurements age by half of it."""

WIRE_EPISODES = 3
"""Episodes through the emulated wire of each claw."""

PROBE_NOISE = Signals(noise=0.005, object_noise=0.01)
"""Noise in the probes; without any, all episodes would be the same."""


@dataclass(frozen=True)
class Probe:
    """A hand with one wrong parameter, far from its description."""

    what: str
    """Description in the table."""
    gain: float = 1.0
    damping: float = 1.0


PROBES = {
    "half_gain": Probe("half the servo gain", gain=0.5),
    "third_damping": Probe("a third of the joint damping", damping=1 / 3),
}


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
    numbers = [str(number) for number in range(len(realities(CLAW)))]
    fitted = [int(number) for number in chosen("claws", options.claws, numbers)]
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
        runs |= {run["name"]: run for run in pool.map(_run, jobs)}
    full = Job(FULL, ALL, seed, options.iterations, options.correct)
    if options.wire and FULL in levels and full.result.exists():
        wired = _through_wires(full.place, seed)
    by_level = {level: [run for run in runs.values() if run["level"] == level] for level in LEVELS}
    rows = {level: _row(own) for level, own in by_level.items() if own}
    best = max((rows[name]["strict"] for name in (FULL, FITTED) if name in rows), default=0.0)
    details = {"levels": rows, "wire": wired, "runs": runs}
    return Result(best, ASKED, "zero-shot strict success", details)


def fitted_values(number: int) -> Array:
    """Return the fitted servos of a claw, (9, p), as `bench identify` found them.

    Raises:
        BadConfig: there is no such result.
    """
    rows = kept(identification.NAME, "claws")
    if str(number) not in rows:
        raise BadConfig(
            f"claw {number} is not identified: ./handlab bench identify --claws {number} --write"
        )
    return np.array(rows[str(number)]["value"])


def claw_sampler(task: Task, world: World, count: int, stream: int) -> LocalSampler:
    """Build a sampler of episodes on one claw; the object is reset by its motor.

    Args:
        task: task of a claw.
        world: the claw's parameters.
        count: number of equal claws side by side, each with noise of its own.
        stream: of the noise.
    """

    def make_env(robots: int) -> Env:
        worlds = [as_simulated(world, (stream, robot)) for robot in range(robots)]
        config = SceneConfig(timestep=TIMESTEP)
        backend = MujocoBackend(task.hand, task.fixture, robots, 1, config, worlds)
        return Env(task, LocalStation(task, backend))

    return LocalSampler(make_env, count)


def as_simulated(world: World, stream: tuple[int, ...]) -> World:
    """Return a world with the encoders and the cycle of a driver that it has behind a wire."""
    resolution = np.full(world.servos.n, TICK)
    signals = replace(
        world.signals,
        latency=world.signals.latency + CYCLE / 2,
        jitter=world.signals.jitter + CYCLE,
        stream=stream,
    )
    return replace(world, servos=replace(world.servos, resolution=resolution), signals=signals)


def probe_world(hand: Hand, probe: Probe) -> World:
    """Return the world of a probe."""
    own = hand.servos
    servos = replace(own, gain=own.gain * probe.gain, viscous=own.viscous * probe.damping)
    return World(servos, signals=PROBE_NOISE)


ALL = -1
"""Number of a job whose policy is for all claws."""


@dataclass(frozen=True)
class Job:
    """One policy to train and to measure."""

    level: str
    number: int  # of the claw that is fitted, or ALL
    seed: int
    iterations: int
    correct: bool

    @property
    def name(self) -> str:
        """Name of the policy."""
        claw = "" if self.number == ALL else f"-claw{self.number}"
        return f"{self.level}{claw}-s{self.seed}"

    @property
    def place(self) -> Path:
        """Folder of the policy."""
        return Path("runs", "bench-transfer", f"{self.name}-i{self.iterations}")

    @property
    def result(self) -> Path:
        """File of what was measured."""
        return self.place / "result.json"

    def is_kept(self, runs: dict[str, Any]) -> bool:
        """Whether the same was measured before; a result that is found is added to `runs`."""
        if self.result.exists():
            runs[self.name] = read_json(self.result)
        run = runs.get(self.name)
        if run is None:
            return False
        same: bool = run["iterations"] == self.iterations
        return same and (bool(run["corrections"]) or not self.correct)


def _run(job: Job) -> dict[str, Any]:
    """Train one policy; let it act on its claw, or on all, and correct it there."""
    task, seed = make_task(TASK), job.seed
    policy, simulated = _trained(job)
    numbers = range(len(realities(CLAW))) if job.number == ALL else [job.number]
    claws = {}
    for own in numbers:
        world = reality(CLAW, own)
        acted = _judged(task, world, policy, seed)
        row = {
            "strict": acted["strict_success_rate"],
            "success": acted["success_rate"],
            "lost_return": simulated["mean_return"] - acted["mean_return"],
        }
        if job.correct:
            row |= _corrected(job.place / f"claw{own}", task, world, policy, seed, row)
        claws[str(own)] = row
    probes = {
        name: _judged(task, probe_world(task.hand, probe), policy, seed)["strict_success_rate"]
        for name, probe in PROBES.items()
    }
    made = origin(NAME)
    run = {
        "name": job.name, "level": job.level, "seed": seed, "iterations": job.iterations,
        "corrections": job.correct, "simulated": simulated["strict_success_rate"],
        "wall_s": simulated["wall_s"], "claws": claws, "probes": probes,
        "commit": made["commit"], "date": made["date"],
    }  # fmt: skip
    write_atomically(job.result, as_text(run))
    print_row(run)
    return run


def _trained(job: Job) -> tuple[Policy, dict[str, Any]]:
    """Return a policy of a level, and the summary of its training in simulation."""
    place, level, seed = job.place, job.level, job.seed
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    fitted, servos = place / "claw.fitted.yaml", None
    task = make_task(TASK)
    if level == FITTED:
        value = fitted_values(job.number)
        fit = ServoFit(value, np.zeros_like(value), np.zeros((0, len(value))), 0.0, (), np.ones(1))
        write_fit(fitted, as_fit(task.hand, fit, "bench identify"))
        servos = servos_of_fit(read_fit(fitted), task.hand)
    config = RunConfig(
        TASK, algorithm=ALGORITHM, backend="sim", seed=seed, until="hours", max_hours=1e6,
        randomise=level, demos=source(TASK, ALGORITHM, ""), evaluate_every=10,
        settings={"npg.episodes_per_iteration": WORLDS},
    )  # fmt: skip
    sampler = local_sampler(task, WORLDS, 1, variations=config.variations(), servos=servos)
    trainer = Trainer(
        config, sampler, demonstrations=demonstrations_of(config),
        stop=lambda: trainer.progress.iteration >= job.iterations,
    )  # fmt: skip
    summary = trainer.run(RunFolder.create(place / "runs", config, datetime.now()))
    saved = saved_policy.load(Path(summary["run_dir"]))
    return saved.policy(task), summary


def _judged(task: Task, world: World, policy: Policy, seed: int) -> dict[str, Any]:
    """Return the figures of a policy on a hand without further training."""
    sampler = claw_sampler(task, world, EPISODES, seed)
    return summarize(Evaluator(sampler, seed, EPISODES).run(policy, AFTER_TRAINING))


def _corrected(
    place: Path, task: Task, world: World, policy: Policy, seed: int, acted: dict[str, Any]
) -> dict[str, Any]:
    """Correct a policy on one claw, if it needs it; return strict success and robot-minutes."""
    if acted["strict"] >= CORRECTED:
        return {"corrected": acted["strict"], "minutes": 0.0}
    config = RunConfig(
        TASK, algorithm="residual", backend="sim", seed=seed, base=GAIT, until="strict",
        max_hours=MINUTES / 60, success_rate=CORRECTED, evaluate_every=3, streak=2,
    )  # fmt: skip
    sampler, first = (claw_sampler(task, world, 1, stream) for stream in (seed, seed + 1))
    trainer = Trainer(config, sampler, base=policy, first_sampler=first)
    summary = trainer.run(RunFolder.create(place, config, datetime.now()))
    hours = summary["robot_hours_to_strict_success"]
    minutes = None if hours is None else 60 * hours
    return {"corrected": summary["strict_success_rate"], "minutes": minutes}


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
        simulated.append(_judged(task, world, policy, seed)["strict_success_rate"])
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
