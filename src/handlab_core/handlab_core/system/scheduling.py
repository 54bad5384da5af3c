"""Who keeps time does not wait for other programs; who waits for others lets them finish first."""

import contextlib
import os
from pathlib import Path

THREADS = Path("/proc/self/task")

PRIORITY = 10
"""Of SCHED_RR, whose least is 1: before every ordinary program, behind the kernel's own threads (50
and more), which bring what comes from the wire."""


def use_realtime_priority() -> None:
    """Give the calling thread, and threads that it starts from now on, real-time priority.

    It takes root, or a line `<user> - rtprio 10` in /etc/security/limits.conf; without permission
    everything stays as it is.
    """
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))


def use_batch_scheduling() -> None:
    """Let no thread of this process that wakes interrupt one that works; for ever.

    For processes that wait for each other. Linux runs a thread that wakes at once, even where that
    stops another in the middle of what all wait for, such as telling several readers of a message.
    """
    for thread in THREADS.iterdir():
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, or is jailed
            os.sched_setscheduler(int(thread.name), os.SCHED_BATCH, os.sched_param(0))
