"""Clock of hardware stamps: the time of day, counted by a monotonic clock."""

import time
from collections.abc import Callable

from handlab_core.types import NS_PER_S

COMPARISONS = 5
"""Number of comparisons of both clocks; the quickest counts, since a busy machine delays some."""


def time_of_day() -> Callable[[], float]:
    """Return a clock, s, that starts at the time of day and ignores later changes to it."""
    since_boot = min(_compare() for _ in range(COMPARISONS))[1]
    return lambda: since_boot + time.monotonic()


def _compare() -> tuple[float, float]:
    """Return the duration of a comparison, s, and the lead of the time of day, s."""
    before = time.monotonic()
    now = time.time()
    after = time.monotonic()
    return after - before, now - (before + after) / 2


def whole_ns(seconds: float) -> float:
    """Round a time, s, to a whole number of nanoseconds, the resolution of stamps."""
    return round(seconds * NS_PER_S) / NS_PER_S
