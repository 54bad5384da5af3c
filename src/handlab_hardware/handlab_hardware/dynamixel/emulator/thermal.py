"""How a motor heats: first order, driven by the square of its current."""

from dataclasses import dataclass

import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.types import Array


@dataclass(frozen=True, slots=True)
class ThermalModel:
    """A motor's heat. No vendor publishes these figures for its servos: chosen.

    A servo that holds half of its stall current for ever ends `rise` / 4 above the ambient, which
    for the default is the limit of an X series servo, 80 degrees Celsius.
    """

    ambient: float = 25.0  # degrees Celsius
    rise: float = 220.0  # K above ambient, in the end, at stall current
    time_constant: float = 300.0  # s; minutes, as users of such servos report

    def __post_init__(self) -> None:
        if not (self.time_constant > 0.0 and self.rise >= 0.0):
            raise BadConfig(
                f"a thermal model has a time constant of {self.time_constant} s and a rise of "
                f"{self.rise} K; give a positive time constant and no negative rise"
            )

    def heat(self, temperature: Array, load: Array, dt: float) -> Array:
        """Temperatures after a time, exact for a constant current; works on any shape.

        Args:
            temperature: degrees Celsius, now.
            load: current as a part of the stall current.
            dt: s.
        """
        end = self.ambient + self.rise * np.square(load)
        kept = np.exp(-dt / self.time_constant)
        warmer: Array = end + (temperature - end) * kept
        return warmer
