"""How a station's motors are, beside what they measure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from handlab_core.types import Array, BoolArray


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """One group of joints, in the group's joint order."""

    temperature: Array  # (n,) degrees Celsius, NaN: not known
    voltage: Array  # (n,) V, NaN: not known
    hardware_error: tuple[int, ...]  # the motor's own error bits, 0 is healthy
    silent: BoolArray  # (n,) does not answer
    torque: BoolArray  # (n,) holds its command; False: passive
    hot: BoolArray  # (n,) released until it has cooled
    pause: bool = False  # a joint is warm: finish the step, then let it cool

    @classmethod
    def unknown(cls, n: int) -> "GroupStatus":
        """Nothing is known of n joints."""
        silent, torque, hot = np.zeros((3, n), dtype=bool)
        return cls(np.full(n, np.nan), np.full(n, np.nan), (0,) * n, silent, torque, hot)


@dataclass(frozen=True, slots=True)
class StationStatus:
    """Both groups, and what a person should know."""

    hand: GroupStatus
    fixture: GroupStatus
    problems: tuple[str, ...] = ()
    """What is wrong now and what to do about it, a sentence each."""
    notes: tuple[str, ...] = ()
    """What works, but could be better."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How often something happened since the station was opened."""
