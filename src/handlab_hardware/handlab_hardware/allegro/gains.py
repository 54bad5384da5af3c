"""PD gains of the Allegro hand, by name, in N m instead of the vendor's PWM counts.

The vendor computes torque = stiffness (target - q) - damping qd on the host. The torque of one
count, and the gains that MuJoCo uses too, are in `handlab_core.hands.allegro`.
"""

from dataclasses import dataclass

import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.hands import make_hand
from handlab_core.hands.allegro import FULL_TORQUE
from handlab_core.types import Array


@dataclass(frozen=True, slots=True)
class Gains:
    """PD gains of 16 joints, in the vendor's order."""

    stiffness: Array  # (16,) N m/rad
    damping: Array  # (16,) N m s/rad


def _stiff() -> Gains:
    hand = make_hand("allegro")
    return Gains(hand.stiffness, hand.damping)


# Fractions of the full torque, per rad and per rad/s: pd_gains.yaml, wilson-ko/allegro_hand_ros2
SOFT_STIFFNESS = (0.4167, 0.6667, 0.7500, 0.4167) * 3 + (0.8333, 0.5833, 0.5000, 0.5000)
SOFT_DAMPING = (0.0208, 0.0417, 0.0458, 0.0333) * 3 + (0.0417, 0.0417, 0.0417, 0.0333)

GAINS = {
    "stiff": _stiff(),
    "soft": Gains(FULL_TORQUE * np.array(SOFT_STIFFNESS), FULL_TORQUE * np.array(SOFT_DAMPING)),
}
"""`stiff`: gains of the vendor's ROS 1 driver of V4, gains_pd.yaml, and of the MuJoCo model.
`soft`: gains of the vendor's ROS 2 driver, about six times softer."""


def make_gains(name: str) -> Gains:
    """Look up gains by name; raise BadConfig for an unknown name."""
    if name not in GAINS:
        raise BadConfig(f"gains is {name!r}; it can be {' or '.join(GAINS)}")
    return GAINS[name]
