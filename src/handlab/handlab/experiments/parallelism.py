"""Number of processes for parallel work."""

import os

from handlab_core.errors import BadConfig

PROCESSES = "HANDLAB_PROCESSES"
"""Environment variable: number of processes; default: one per core that this process may use."""


def processes() -> int:
    """Return the number of processes for work on all cores.

    Raises:
        BadConfig: the environment variable is not a whole number from 1 on.
    """
    given = os.environ.get(PROCESSES)
    if given is None:
        return len(os.sched_getaffinity(0))
    if not given.isdecimal() or int(given) < 1:
        raise BadConfig(f"{PROCESSES} must be a whole number from 1 on, not {given!r}")
    return int(given)
