"""Pools of worker processes that end with the process that made them."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from types import TracebackType
from typing import Any

from handlab_core.system.lifeline import end_with_parent


class WorkerPool(ProcessPoolExecutor):
    """A pool whose jobs are given up if its context ends by an exception, such as SystemExit."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for all jobs; after an exception end the workers instead."""
        if kind is not None:
            # `kill_workers` of Python 3.14 does the same.
            for worker in list((self._processes or {}).values()):
                worker.kill()
        super().__exit__(kind, error, traceback)


def worker_pool(
    processes: int | None = None,
    start: str = "fork",
    begin: Callable[..., None] | None = None,
    *arguments: Any,
) -> WorkerPool:
    """Make a pool whose workers end when this process ends, in whatever way that happens.

    Args:
        processes: number of workers; None: one for each core.
        start: method of `multiprocessing`; `spawn` where this process has threads of torch.
        begin: called in each worker before its first job.
        arguments: of `begin`; they must be picklable for `spawn`.
    """
    context = multiprocessing.get_context(start)
    return WorkerPool(processes, context, _begin, (os.getpid(), begin, *arguments))


def _begin(parent: int, begin: Callable[..., None] | None, *arguments: Any) -> None:
    end_with_parent(parent)
    if begin is not None:
        begin(*arguments)
