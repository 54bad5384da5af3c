"""Runs of several kinds and seeds side by side; robot time does not depend on the machine."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from handlab.benches.journal import journal
from handlab.experiments.demonstrations import demonstrations_of, source
from handlab.experiments.parallelism import processes
from handlab.experiments.task_kinds import local_sampler
from handlab_core.environment.episode import Episode
from handlab_core.environment.policies.policy import Policy
from handlab_core.hands.servo import ServoParameters
from handlab_core.system.workers import worker_pool
from handlab_core.worlds.levels import NONE
from handlab_learning.policy_files import saved_policy
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.trainer import Trainer

T = TypeVar("T")

WORLDS = 64
"""Episodes of an iteration of `learn_in_worlds`, each in a world of its own."""


def learn_all(
    learn: Callable[[str, str, int], T],
    names: Sequence[str],
    seeds: Sequence[int],
    workers: int | None = None,
    bench: str = "",
) -> dict[str, list[T]]:
    """Carry out one run for each name and seed, side by side.

    A bench that was broken off carries out the runs that are left; see `journal`.

    Args:
        learn: carries out a run; takes a scratch folder, the name and the seed.
        names: kinds of runs.
        seeds: random seeds.
        workers: number of runs side by side; None: one for each core.
        bench: words that name the measurement, whose results must be JSON; empty: nothing is kept.

    Returns:
        Results by name, in the order of the seeds.
    """
    finished = journal(bench) if bench else None
    done: dict[str, T] = finished.read() if finished else {}
    with (
        tempfile.TemporaryDirectory(prefix="handlab-") as scratch,
        worker_pool(workers or processes()) as pool,
    ):
        running = {
            pool.submit(learn, scratch, name, seed): _part(name, seed)
            for name in names
            for seed in seeds
            if _part(name, seed) not in done
        }
        for run in as_completed(running):
            part, result = running[run], run.result()
            done[part] = result
            if finished:
                finished.add(part, result)
    if finished:
        finished.clear()
    return {name: [done[_part(name, seed)] for seed in seeds] for name in names}


def _part(name: str, seed: int) -> str:
    return f"{name}, seed {seed}"


def learn_in_process(
    root: str,
    name: str,
    config: RunConfig,
    demonstrations: Sequence[Episode] = (),
    num_envs: int = 1,
) -> tuple[RunFolder, dict[str, Any]]:
    """Carry out a run in this process, on one thread; return its folder and its summary.

    Args:
        root: scratch folder.
        name: of the run's folder in it.
        config: of the run.
        demonstrations: for algorithms that use them.
        num_envs: number of worlds side by side.
    """
    folder = RunFolder.create(Path(root, name), config, datetime.now())
    sampler, first = (local_sampler(config.make_task(), num_envs, 1) for _ in range(2))
    trainer = Trainer(config, sampler, demonstrations=demonstrations, first_sampler=first)
    return folder, trainer.run(folder)


def learn_in_worlds(
    place: Path,
    task: str,
    seed: int,
    iterations: int,
    *,
    vary: Sequence[str] = (),
    randomise: str = NONE,
    servos: ServoParameters | None = None,
) -> tuple[Policy, dict[str, Any]]:
    """Learn by DAPG from the task's demonstrations; return the policy and the run's summary.

    Args:
        place: folder of the run; older files in it are deleted.
        task: name of the task.
        seed: random seed.
        iterations: number of iterations, `WORLDS` episodes each.
        vary: variations of the object, as `train --vary` takes them.
        randomise: level of randomisation, as `train --randomise` takes it.
        servos: parameters of the hand; None: as described.
    """
    shutil.rmtree(place, ignore_errors=True)
    config = RunConfig(
        task, algorithm="dapg", backend="sim", seed=seed, until="hours", max_hours=1e6,
        vary=list(vary), randomise=randomise, demos=source(task, "dapg", ""), evaluate_every=10,
        settings={"npg.episodes_per_iteration": WORLDS},
    )  # fmt: skip
    sampler = local_sampler(
        config.make_task(), WORLDS, 1, variations=config.variations(), servos=servos,
        fresh=bool(vary),
    )  # fmt: skip
    trainer = Trainer(
        config, sampler, demonstrations=demonstrations_of(config),
        stop=lambda: trainer.progress.iteration >= iterations,
    )  # fmt: skip
    summary = trainer.run(RunFolder.create(place, config, datetime.now()))
    policy = saved_policy.load(Path(summary["run_dir"])).policy(config.make_task())
    return policy, summary
