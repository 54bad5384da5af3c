"""Thermal protection: a warm motor requests a pause, a hot motor is released.

| temperature below the motor's own limit  | reaction                                           |
|------------------------------------------|----------------------------------------------------|
| less than limits.HOT_MARGIN              | the joint is released until it is no longer warm   |
| less than limits.WARM_MARGIN             | a pause is requested                               |
| limits.COOL_MARGIN or more, every joint  | the pause ends                                     |
"""

from dataclasses import dataclass

import numpy as np

from handlab_core.safety import limits
from handlab_core.types import Array, BoolArray


@dataclass(frozen=True, slots=True)
class ThermalState:
    """Thermal protection state of one joint group."""

    pause: bool
    hot: BoolArray  # (n,) joints that must be released


class ThermalProtection:
    """Monitors the temperatures of one joint group; the thresholds have hysteresis.

    Args:
        limit: (n,) degrees Celsius; temperature at which each motor shuts down.
    """

    def __init__(self, limit: Array) -> None:
        self._limit = np.asarray(limit, dtype=np.float64)
        self._warm = self._hot = np.zeros(self._limit.shape, dtype=bool)

    def update(self, temperature: Array) -> ThermalState:
        """Update from temperatures, (n,) degrees Celsius; NaN (unknown) changes nothing."""
        margin = self._limit - temperature
        above = margin <= limits.WARM_MARGIN
        below = margin >= limits.COOL_MARGIN
        self._warm = (self._warm | above) & ~below
        self._hot = (self._hot & ~(margin > limits.WARM_MARGIN)) | (margin <= limits.HOT_MARGIN)
        return ThermalState(bool(self._warm.any()), self._hot.copy())
