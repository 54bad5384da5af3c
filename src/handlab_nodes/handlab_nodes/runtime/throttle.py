"""Messages at a rate that people and their tools can use, however fast the world runs."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Throttle(Generic[T]):
    """Publish the newest value at most once in a period, and the last one for certain.

    In lockstep a thousand values a second may be offered. A listener that woke for each of them
    would slow all others down, and one that saw none of the last would hold an old state.

    Args:
        publish: called with a value, from the thread that offers it or the one that calls `flush`.
        period: s of wall time between two values.
        now: s; a clock that never goes back.
    """

    def __init__(
        self,
        publish: Callable[[T], None],
        period: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish, self._period, self._now = publish, period, now
        self._lock = threading.Lock()
        self._newest: list[T] = []
        self._pending = False
        self._published_at = float("-inf")

    def offer(self, value: T) -> None:
        """Publish a value now if the last one is a period old, else keep it as the newest."""
        self._newest = [value]
        self._pending = True  # in this order: a value may be published twice, but is never lost
        self.flush()

    def flush(self) -> None:
        """Publish the newest value, if it was not published yet and its time has come."""
        if not self._pending or self._now() - self._published_at < self._period:
            return
        with self._lock:  # which another thread may have held meanwhile
            now = self._now()
            if self._pending and now - self._published_at >= self._period:
                self._published_at, self._pending = now, False
                self._publish(self._newest[0])

    def repeat(self, after: float = 0.0) -> None:
        """Publish the newest value again, for listeners that have come since.

        Args:
            after: s; only if no value was published for that time.
        """
        with self._lock:
            now = self._now()
            if self._newest and now - self._published_at >= after:
                self._published_at, self._pending = now, False
                self._publish(self._newest[0])
