"""Fixtures: a joint the object turns on, whose motor resets it and whose encoder measures it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from handlab_core.registry import Registry


@dataclass(frozen=True)
class Fixture:
    """One object on one joint."""

    name: str
    urdf: str  # path of the xacro below urdf/
    joint: str
    lower: float  # rad
    upper: float  # rad
    max_rate: float  # rad/s, of the motor that resets the object
    max_effort: float  # N m
    arguments: Mapping[str, str] = field(default_factory=dict)  # of the xacro


FIXTURES: Registry[Fixture] = Registry("object")


@FIXTURES.register
def valve() -> Fixture:
    """Build the rigid three-lobed valve on a vertical hinge."""
    return Fixture(
        name="valve",
        urdf="objects/valve.urdf.xacro",
        joint="valve",
        lower=-2 * np.pi,
        upper=2 * np.pi,
        max_rate=6.0,  # below the 8 rad/s an XM430-W210 turns without load
        max_effort=3.0,  # XM430-W210 stall torque at 12 V, vendor's e-manual
    )


@FIXTURES.register
def valve_turns() -> Fixture:
    """Build the same valve with twice the turns: nothing but its motor's counter ends them."""
    return replace(
        valve(),
        name="valve_turns",
        lower=-4 * np.pi,
        upper=4 * np.pi,
        arguments={"half_turns": "4"},
    )


@FIXTURES.register
def bare() -> Fixture:
    """Build the valve's motor with nothing on it."""
    return replace(valve(), name="bare", urdf="objects/bare.urdf.xacro")


@FIXTURES.register
def flip() -> Fixture:
    """Build the block on a horizontal axis; its motor is of the valve's kind."""
    return replace(
        valve(),
        name="flip",
        urdf="objects/flip.urdf.xacro",
        joint="flip",
        lower=-1.5 * np.pi,
        upper=1.5 * np.pi,
    )
