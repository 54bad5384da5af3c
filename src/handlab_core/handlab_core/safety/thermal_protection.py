"""When hot motors must rest: warm asks for a pause, hot lets go.

| temperature below the motor's own limit | what follows                                       |
|------------------------------------------|----------------------------------------------------|
| less than safety.HOT_MARGIN              | the joint is released until it is no longer warm   |
| less than safety.WARM_MARGIN             | a pause is asked for                               |
| safety.COOL_MARGIN or more, every joint  | the pause ends                                     |
"""

from dataclasses import dataclass

import numpy as np

from handlab_core.safety import limits
from handlab_core.types import Array, BoolArray


@dataclass(frozen=True, slots=True)
class ThermalState:
    """What a group of motors needs now."""

    pause: bool
    hot: BoolArray  # (n,) to be released


class ThermalProtection:
    """Follows the temperatures of one group of motors; the thresholds have hysteresis.

    Args:
        limit: (n,) degrees Celsius, where each motor shuts itself down.
    """

    def __init__(self, limit: Array) -> None:
        self._limit = np.asarray(limit, dtype=np.float64)
        self._warm = self._hot = np.zeros(self._limit.shape, dtype=bool)

    def update(self, temperature: Array) -> ThermalState:
        """Take new temperatures, (n,) degrees Celsius; NaN, not known, changes nothing."""
        margin = self._limit - temperature
        above = margin <= limits.WARM_MARGIN
        below = margin >= limits.COOL_MARGIN
        self._warm = (self._warm | above) & ~below
        self._hot = (self._hot & ~(margin > limits.WARM_MARGIN)) | (margin <= limits.HOT_MARGIN)
        return ThermalState(bool(self._warm.any()), self._hot.copy())
