"""State of a station's motors besides their measurements."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from handlab_core.types import Array, BoolArray


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """One group of joints, in the group's joint order."""

    temperature: Array  # (n,) degrees Celsius; NaN: unknown
    voltage: Array  # (n,) V; NaN: unknown
    hardware_error: tuple[int, ...]  # error bits of each motor, 0: healthy
    silent: BoolArray  # (n,) the motor does not answer
    torque: BoolArray  # (n,) the motor follows its command; False: passive
    hot: BoolArray  # (n,) released until the motor has cooled
    pause: bool = False  # a motor is warm: the hand pauses after the present step

    @classmethod
    def unknown(cls, n: int) -> "GroupStatus":
        """Build the state of n joints of which nothing is known."""
        silent, torque, hot = np.zeros((3, n), dtype=bool)
        return cls(np.full(n, np.nan), np.full(n, np.nan), (0,) * n, silent, torque, hot)


@dataclass(frozen=True, slots=True)
class StationStatus:
    """State of both groups, and messages for people."""

    hand: GroupStatus
    fixture: GroupStatus
    problems: tuple[str, ...] = ()
    """Present faults and their remedies, one sentence each."""
    notes: tuple[str, ...] = ()
    """Remarks on settings that work but are not optimal."""
    worn: tuple[str, ...] = ()
    """Motors that are weaker, looser or less alive than they were, one sentence each; the hand goes
    on."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Number of events of each kind since the station was opened."""
