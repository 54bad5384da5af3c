"""Runs of several kinds and seeds side by side; robot time does not depend on the machine."""

import tempfile
from collections.abc import Callable, Sequence
from typing import TypeVar

from handlab.experiments.parallelism import processes
from handlab_core.system.workers import worker_pool

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
