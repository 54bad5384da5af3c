"""When an episode was a success: a fact about its errors that no learner sees."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from handlab_core.types import Array

LAST_FIFTH = 5
"""The end of an episode is its last fifth."""


class Criterion(Protocol):
    """Judges whole episodes."""

    @property
    def tolerance(self) -> float:
        """Errors up to it are small; rad."""
        ...

    def __str__(self) -> str:
        """What it asks for, in a few words."""
        ...

    def met(self, errors: Array) -> bool:
        """Whether an episode with these errors, (steps,) rad, was a success."""
        ...


def last_fifth(errors: Array) -> Array:
    """The sizes of the errors at the end of an episode, (steps // 5,) rad."""
    return np.abs(errors[-(len(errors) // LAST_FIFTH) :])


@dataclass(frozen=True)
class LastFifth:
    """Every error of the last fifth is within the tolerance [rad]."""

    tolerance: float

    def __str__(self) -> str:
        return f"within {np.rad2deg(self.tolerance):.3g}° in the last fifth"

    def met(self, errors: Array) -> bool:
        """See `Criterion.met`."""
        return bool((last_fifth(errors) <= self.tolerance).all())


@dataclass(frozen=True)
class MeanOfLastFifth:
    """The mean error of the last fifth is below the tolerance [rad]; robel/dclaw/turn.py."""

    tolerance: float

    def __str__(self) -> str:
        return f"mean error below {self.tolerance:.3g} rad in the last fifth"

    def met(self, errors: Array) -> bool:
        """See `Criterion.met`."""
        return bool(last_fifth(errors).mean() < self.tolerance)


@dataclass(frozen=True)
class MeanError:
    """The mean error of the whole episode is below the tolerance [rad]."""

    tolerance: float

    def __str__(self) -> str:
        return f"mean error below {self.tolerance:.3g} rad"

    def met(self, errors: Array) -> bool:
        """See `Criterion.met`."""
        return bool(np.abs(errors).mean() < self.tolerance)
