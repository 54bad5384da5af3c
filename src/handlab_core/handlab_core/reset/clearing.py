"""Reset with motors for soft fingers, which may be hooked behind the object.

A servo pulls its finger out; air only lets a finger go. Therefore the motor turns the object out of
the way before the next attempt. Else the procedure is that of `handlab_core.reset.motor`.
"""

import numpy as np

from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture
from handlab_core.reset.motor import MotorReset, ResetConfig
from handlab_core.reset.procedure import RESETS, BuildReset

BACK = np.deg2rad(-120.0)
"""rad; clearance of an object that turns; chosen: back by the distance of two lobes of the valve,
under fingers that have straightened."""


def clearing_reset(hand: Hand, fixture: Fixture, object_angle: float) -> MotorReset:
    """Build the procedure; an object that slides clears the fingers at its upper end.

    Args:
        hand: moves to its nominal pose.
        fixture: its motor moves the object.
        object_angle: rad; target angle of the object.
    """
    clearance = BACK if fixture.travel is None else fixture.upper - object_angle
    return MotorReset(hand, fixture, object_angle, ResetConfig(clearance=float(clearance)))


@RESETS.register
def clearing() -> BuildReset:
    """Build the procedure that turns the object out of the way of hooked fingers."""
    return clearing_reset
