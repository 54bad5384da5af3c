"""First-order thermal model of a motor, heated by the square of its current."""

from dataclasses import dataclass

import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.types import Array


@dataclass(frozen=True, slots=True)
class ThermalModel:
    """Parameters of the thermal model; chosen, since the vendor publishes none.

    Half of the stall current heats a servo by `rise` / 4 in the long run. With the default it then
    reaches the limit of an X series servo, 80 degrees Celsius.
    """

    ambient: float = 25.0  # degrees Celsius; ambient temperature
    rise: float = 220.0  # K; final rise above ambient at stall current
    time_constant: float = 300.0  # s; time constant, minutes by users' reports

    def __post_init__(self) -> None:
        if not (self.time_constant > 0.0 and self.rise >= 0.0):
            raise BadConfig(
                f"a thermal model has a time constant of {self.time_constant} s and a rise of "
                f"{self.rise} K; give a positive time constant and no negative rise"
            )

    def heat(self, temperature: Array, load: Array, dt: float) -> Array:
        """Return the temperatures after a time, exact for a constant current, in any shape.

        Args:
            temperature: present temperatures, degrees Celsius.
            load: current as a fraction of the stall current.
            dt: length of the step, s.
        """
        end = self.ambient + self.rise * np.square(load)
        kept = np.exp(-dt / self.time_constant)
        warmer: Array = end + (temperature - end) * kept
        return warmer
