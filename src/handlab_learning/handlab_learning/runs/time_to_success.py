"""Estimate the robot time that a run still needs, from earlier runs of the same task.

The interval is a prediction interval by order statistics. If the earlier runs and the present one
are exchangeable, its coverage is exact, whatever the distribution of times is: a new value lies
between the k-th smallest and the k-th largest of n values with probability (n + 1 - 2k) / (n + 1)
(Wilks, Annals of Mathematical Statistics 12, 1941). Runs stay exchangeable if each is chosen by a
condition that depends on itself alone. Two conditions are used, the first if enough runs meet it:

- An earlier run was at the same level of success for as long as the present one is.
- An earlier run had not succeeded at the robot time of the present one.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import floor, inf

LEVELS = (0.1, 0.3, 0.6, 0.9)
"""Success rates at which one level ends and the next one begins."""

SMOOTHED = 3
"""Evaluations; their mean is a level: single evaluations of a policy that learns swing widely."""

ENOUGH = 4
"""Runs at the same level from which only those count."""

COVERAGE = 0.8
"""Wanted coverage of the interval. Few runs give less: the interval of n runs covers at most
(n - 1) / (n + 1)."""

Curve = tuple[tuple[float, float], ...]
"""Robot-hours and success rate of each evaluation."""


@dataclass(frozen=True)
class EarlierRun:
    """One earlier run of the same task and algorithm."""

    reached: float | None  # robot-hours to success; None: it never succeeded
    ended: float  # robot-hours until which it is known
    curve: Curve = ()  # empty: unknown
    streak: int = 1  # good evaluations in a row until success is known

    @cached_property
    def known(self) -> float:
        """Robot-hours at which success is known: the last evaluation of its streak; or infinite."""
        if self.reached is None:
            return inf
        times = [hours for hours, _ in self.curve if hours >= self.reached]
        return times[self.streak - 1] if len(times) >= self.streak else self.reached

    @cached_property
    def levels(self) -> list[int]:
        """See `highest_levels`."""
        return highest_levels(self.curve)


@dataclass(frozen=True)
class Estimate:
    """Robot-hours that the present run still needs."""

    low: float
    middle: float  # infinite: half of the earlier runs never succeeded
    high: float  # infinite: some earlier runs never succeeded
    coverage: float  # of the interval from low to high; 0: it rests on one run
    runs: int
    """Number of earlier runs that it rests on."""


def estimate(earlier: Sequence[EarlierRun], curve: Curve) -> Estimate | None:
    """Return the remaining time of a run that has not succeeded yet; None: unknown.

    Args:
        earlier: earlier runs.
        curve: evaluations of the present run; the last one is now.
    """
    left = remaining(earlier, curve)
    n = len(left)
    if not n:
        return None
    k = max(1, floor((n + 1) * (1 - COVERAGE) / 2))
    coverage = max(0.0, (n + 1 - 2 * k) / (n + 1))
    return Estimate(left[k - 1], _median(left), left[n - k], coverage, n)


def remaining(earlier: Sequence[EarlierRun], curve: Curve) -> list[float]:
    """Return the remaining robot-hours of the earlier runs that compare, sorted."""
    if not curve:
        return sorted(_left(run, 0.0) for run in earlier)
    now, levels = curve[-1][0], highest_levels(curve)
    level = levels[-1]
    spent = now - curve[levels.index(level)][0]
    alike = [left for run in earlier if (left := _left_at(run, level, spent)) is not None]
    if len(alike) < ENOUGH:
        alike = [_left(run, now) for run in earlier if run.known > now and _seen(run, now)]
    return sorted(alike)


def _left_at(run: EarlierRun, level: int, spent: float) -> float | None:
    """Return the remaining time of a run after some hours at a level; None: it never was there."""
    if level not in run.levels:
        return None
    at = run.curve[run.levels.index(level)][0] + spent
    then = bisect_right(run.curve, (at, inf)) - 1
    if run.known <= at or not _seen(run, at) or run.levels[then] != level:
        return None
    return _left(run, at)


def _left(run: EarlierRun, at: float) -> float:
    return inf if run.reached is None else max(0.0, run.reached - at)


def _seen(run: EarlierRun, at: float) -> bool:
    """Whether a run was still observed at a time."""
    return run.reached is not None or run.ended >= at


def highest_levels(curve: Curve) -> list[int]:
    """Return the highest level that a run had reached at each of its evaluations."""
    rates, highest = [rate for _, rate in curve], 0
    levels = []
    for i in range(len(rates)):
        newest = rates[max(0, i + 1 - SMOOTHED) : i + 1]
        highest = max(highest, bisect_right(LEVELS, sum(newest) / len(newest)))
        levels.append(highest)
    return levels


def _median(values: list[float]) -> float:
    """Return the median of sorted values, some of which may be infinite."""
    n = len(values)
    low, high = values[(n - 1) // 2], values[n // 2]
    return low if low == high else (low + high) / 2


def text(found: Estimate | None, earlier: int) -> str:
    """Return an estimate in words.

    Args:
        found: the estimate; None: unknown.
        earlier: number of all earlier runs.
    """
    if found is None and not earlier:
        return "unknown yet: there is no earlier run of this task and algorithm"
    if found is None:
        return f"unknown: none of the {earlier} earlier runs compares with this one so late"
    runs = f"{found.runs} earlier run" + ("s" if found.runs > 1 else "")
    if not found.coverage:
        return f"about {duration(found.middle)}, like {runs}"
    return (
        f"{duration(found.low)} to {duration(found.high)} more, median {duration(found.middle)} "
        f"({found.coverage:.0%} interval, {runs})"
    )


def duration(hours: float) -> str:
    """Return a robot time in words: minutes below 100 min, else hours."""
    if hours == inf:
        return "never"
    return f"{60 * hours:.0f} min" if 60 * hours < 100 else f"{hours:.1f} h"
