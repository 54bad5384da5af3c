"""The stamps of hardware: the time of day, on a clock that never jumps."""

import time
from collections.abc import Callable

from handlab_core.types import NS_PER_S


def time_of_day() -> Callable[[], float]:
    """Make a clock [s] that begins at the time of day and is not moved when that is set."""
    since_boot = time.time() - time.monotonic()
    return lambda: since_boot + time.monotonic()


def whole_ns(seconds: float) -> float:
    """Round a time [s] to a whole number of nanoseconds, as readings carry it."""
    return round(seconds * NS_PER_S) / NS_PER_S
