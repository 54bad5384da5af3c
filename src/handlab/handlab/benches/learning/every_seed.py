"""Runs of several kinds and seeds side by side; robot time does not depend on the machine."""

import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from handlab.experiments.parallelism import processes
from handlab.experiments.task_kinds import local_sampler
from handlab_core.environment.episode import Episode
from handlab_core.system.workers import worker_pool
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.trainer import Trainer

T = TypeVar("T")


def learn_all(
    learn: Callable[[str, str, int], T],
    names: Sequence[str],
    seeds: Sequence[int],
    workers: int | None = None,
) -> dict[str, list[T]]:
    """Carry out one run for each name and seed, side by side.

    Args:
        learn: carries out a run; takes a scratch folder, the name and the seed.
        names: kinds of runs.
        seeds: random seeds.
        workers: number of runs side by side; None: one for each core.

    Returns:
        Results by name, in the order of the seeds.
    """
    jobs = [(name, seed) for name in names for seed in seeds]
    with (
        tempfile.TemporaryDirectory(prefix="handlab-") as scratch,
        worker_pool(workers or processes()) as pool,
    ):
        done = list(pool.map(learn, [scratch] * len(jobs), *zip(*jobs, strict=True)))
    count = len(seeds)
    return {name: done[i * count : (i + 1) * count] for i, name in enumerate(names)}


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
