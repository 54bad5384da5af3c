"""One policy of the bench of transfer: its training, its success on claws, and its correction."""

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from handlab.benches.formatting import print_row
from handlab.benches.kept import kept
from handlab.benches.learning.every_seed import learn_in_worlds
from handlab.benches.result import as_text, origin
from handlab.benches.wire import identification
from handlab.benches.wire.simulated_claws import PROBES, claw_sampler, probe_world
from handlab.emulation.realities import CLAW, realities, reality
from handlab.identification.identify import as_fit
from handlab_core.environment.policies.policy import Policy
from handlab_core.errors import BadConfig
from handlab_core.system.files import read_json, write_atomically
from handlab_core.tasks import Task, make_task
from handlab_core.types import Array
from handlab_core.worlds.fitted import read_fit, servos_of_fit, write_fit
from handlab_core.worlds.levels import FITTED
from handlab_core.worlds.world import World
from handlab_learning.policy_files.base_policy import GAIT
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.evaluation import AFTER_TRAINING, Evaluator, summarize
from handlab_learning.runs.trainer import Trainer
from handlab_sim.identification.fit import ServoFit

NAME, TASK = "transfer", "valve"

ITERATIONS = 20
"""Iterations of a training; more of them improve strict success in the full worlds by less than its
noise."""

EPISODES = 30
"""Episodes of one policy on one claw."""

CORRECTED, MINUTES = 0.95, 5.0
"""Strict success that is asked after so many robot-minutes of correction."""

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
        """File of the measurement."""
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


def run_job(job: Job) -> dict[str, Any]:
    """Train one policy; let it act on its claw, or on all, and correct it there."""
    task, seed = make_task(TASK), job.seed
    policy, simulated = _trained(job)
    numbers = range(len(realities(CLAW))) if job.number == ALL else [job.number]
    claws = {}
    for own in numbers:
        world = reality(CLAW, own)
        acted = judged(task, world, policy, seed)
        row = {
            "strict": acted["strict_success_rate"],
            "success": acted["success_rate"],
            "lost_return": simulated["mean_return"] - acted["mean_return"],
        }
        if job.correct:
            row |= _corrected(job.place / f"claw{own}", task, world, policy, seed, row)
        claws[str(own)] = row
    probes = {
        name: judged(task, probe_world(task.hand, probe), policy, seed)["strict_success_rate"]
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
    if level == FITTED:
        task = make_task(TASK)
        value = fitted_values(job.number)
        fit = ServoFit(value, np.zeros_like(value), np.zeros((0, len(value))), 0.0, (), np.ones(1))
        write_fit(fitted, as_fit(task.hand, fit, "bench identify"))
        servos = servos_of_fit(read_fit(fitted), task.hand)
    return learn_in_worlds(
        place / "runs", TASK, seed, job.iterations, randomise=level, servos=servos
    )


def judged(task: Task, world: World, policy: Policy, seed: int) -> dict[str, Any]:
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
