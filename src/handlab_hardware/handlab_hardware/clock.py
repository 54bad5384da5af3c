"""The stamps of hardware: the time of day, on a clock that never jumps."""

import time
from collections.abc import Callable

from handlab_core.types import NS_PER_S

COMPARISONS = 5
"""Between two readings a busy machine may do something else for long; the quickest is taken."""


def time_of_day() -> Callable[[], float]:
    """Make a clock [s] that begins at the time of day and is not moved when that is set."""
    since_boot = min(_compare() for _ in range(COMPARISONS))[1]
    return lambda: since_boot + time.monotonic()


def _compare() -> tuple[float, float]:
    """How long [s] it took to read both clocks, and by how much [s] the time of day is ahead."""
    before = time.monotonic()
    now = time.time()
    after = time.monotonic()
    return after - before, now - (before + after) / 2


def whole_ns(seconds: float) -> float:
    """Round a time [s] to a whole number of nanoseconds, as readings carry it."""
    return round(seconds * NS_PER_S) / NS_PER_S
