"""Pair states of two streams by their stamps, as message_filters does.

The streams of a graph are not in step: either may be some states ahead of the other. Two drivers of
one station have separate clocks, and their stamps are never equal.
"""

from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from handlab_core.types import SAME_TIME, Array

MEMORY = 1000
"""Number of states of each stream that wait for the other: ten seconds at the drivers' 100 Hz,
longer than a busy machine delays a process."""


class Stamped(Protocol):
    """A state of one robot."""

    @property
    def stamp(self) -> Array:
        """(1,) s."""
        ...


A = TypeVar("A", bound=Stamped)
B = TypeVar("B", bound=Stamped)


class StampSync(Generic[A, B]):
    """Match every state of the stream B to the state of the stream A that is nearest in time.

    The match is decided when A has reached the stamp of B: no later state of A can be nearer. It
    therefore depends on the stamps alone, and not on the order of arrival: all nodes that use the
    same two streams pair them alike. A state of B without a state of A within SAME_TIME has no
    match, and is left out.

    A stamp that goes back begins its stream again, and only its own: a restarted estimator repeats
    old states, while the newest state of the other stream may be the last one for a long time.
    """

    def __init__(self) -> None:
        self._a: deque[tuple[float, A]] = deque(maxlen=MEMORY)  # stamp [s], state
        self._b: deque[tuple[float, B]] = deque(maxlen=MEMORY)
        self._newest_b = float("-inf")

    def add_a(self, state: A) -> None:
        """Take the next state of the stream A."""
        stamp = float(state.stamp[0])
        if self._a and stamp < self._a[-1][0]:
            self._a.clear()
        self._a.append((stamp, state))

    def add_b(self, state: B) -> None:
        """Take the next state of the stream B."""
        stamp = float(state.stamp[0])
        if stamp < self._newest_b:
            self._b.clear()
        self._newest_b = stamp
        self._b.append((stamp, state))

    @property
    def waiting(self) -> bool:
        """Whether a state of B lacks only a state of A."""
        return bool(self._b) and not self._decided()

    def pairs(self) -> Iterator[tuple[A, B]]:
        """Return the matches that are decided by now, oldest first, each once."""
        while self._b and self._decided():
            stamp, b = self._b.popleft()
            # States of A before the nearest one are of no further use: stamps only grow.
            while len(self._a) > 1 and self._gap(1, stamp) <= self._gap(0, stamp):
                self._a.popleft()
            if self._gap(0, stamp) <= SAME_TIME:
                yield self._a[0][1], b

    def _decided(self) -> bool:
        return bool(self._a) and self._a[-1][0] >= self._b[0][0]

    def _gap(self, i: int, stamp: float) -> float:
        return abs(self._a[i][0] - stamp)
