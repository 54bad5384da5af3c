"""Criteria of success: functions of an episode's errors, unknown to learners."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from handlab_core.types import Array

LAST_FIFTH = 5
"""Divisor; the end of an episode is its last fifth."""


class Criterion(Protocol):
    """Decides whether an episode was a success."""

    @property
    def tolerance(self) -> float:
        """Tolerance of the error; rad."""
        ...

    def __str__(self) -> str:
        """Return a short description."""
        ...

    def met(self, errors: Array) -> bool:
        """Return whether an episode with these errors, (steps,) rad, was a success."""
        ...


def last_fifth(errors: Array) -> Array:
    """Return the absolute errors at the end of an episode, (max(steps // 5, 1),) rad."""
    return np.abs(errors[-max(len(errors) // LAST_FIFTH, 1) :])


@dataclass(frozen=True)
class LastFifth:
    """Require every error of the last fifth to be within the tolerance [rad]."""

    tolerance: float

    def __str__(self) -> str:
        return f"within {np.rad2deg(self.tolerance):.3g}° in the last fifth"

    def met(self, errors: Array) -> bool:
        """See `Criterion.met`."""
        return bool((last_fifth(errors) <= self.tolerance).all())


@dataclass(frozen=True)
class MeanOfLastFifth:
    """Require the mean error of the last fifth below the tolerance [rad]; robel/dclaw/turn.py."""

    tolerance: float

    def __str__(self) -> str:
        return f"mean error below {self.tolerance:.3g} rad in the last fifth"

    def met(self, errors: Array) -> bool:
        """See `Criterion.met`."""
        return bool(last_fifth(errors).mean() < self.tolerance)


@dataclass(frozen=True)
class MeanError:
    """Require the mean error of the whole episode to be below the tolerance [rad]."""

    tolerance: float

    def __str__(self) -> str:
        return f"mean error below {self.tolerance:.3g} rad"

    def met(self, errors: Array) -> bool:
        """See `Criterion.met`."""
        return bool(np.abs(errors).mean() < self.tolerance)
