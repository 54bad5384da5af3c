"""Linux scheduling: real-time priority for drivers, SCHED_BATCH for lockstep nodes."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

THREADS = Path("/proc/self/task")

PRIORITY = 10
"""Priority of SCHED_RR, whose minimum is 1. It is above every ordinary program, and below the
threads of the kernel (50 and more), which receive data from the wire."""


def use_realtime_priority() -> None:
    """Give the calling thread, and threads that it starts from now on, real-time priority.

    This needs root, or a line `<user> - rtprio 10` in /etc/security/limits.conf. Without permission
    nothing changes.
    """
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))


@contextlib.contextmanager
def realtime_priority() -> Iterator[None]:
    """Use real-time priority in the body of a `with`; see `use_realtime_priority`."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    use_realtime_priority()
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def use_batch_scheduling() -> None:
    """Prevent threads of this process that wake from interrupting a running thread.

    This serves processes that wait for each other. By default Linux runs a thread as soon as it
    wakes, even if that stops another thread in the middle of the work that all wait for.
    """
    for thread in THREADS.iterdir():
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, or is jailed
            os.sched_setscheduler(int(thread.name), os.SCHED_BATCH, os.sched_param(0))
