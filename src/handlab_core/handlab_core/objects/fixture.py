"""Fixtures: a joint the object turns on, whose motor resets it and whose encoder measures it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from handlab_core.objects.beam import RoundBeam
from handlab_core.registry import Registry


@dataclass(frozen=True)
class Softness:
    """What a soft object has beside its URDF, which knows neither springs nor contact."""

    springs: Mapping[str, float]
    """N m/rad, of the joints that no motor turns, by pattern of their names."""
    armature: float
    """kg m2 on each of them."""
    friction: tuple[float, float, float]
    """Sliding, torsional [m], rolling [m]."""
    softness: tuple[float, float]
    """MuJoCo's solref of its contacts: time constant [s] and damping ratio."""
    impedance: tuple[float, float, float]
    """MuJoCo's solimp: least, greatest, and the depth between them [m]."""


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
    damping: float = 0.1  # N m s/rad, of the joint; as the URDF's
    friction: float = 0.01  # N m; as the URDF's
    arguments: Mapping[str, str] = field(default_factory=dict)  # of the xacro
    softness: Softness | None = None  # None: rigid
    passive: tuple[str, ...] = ()  # further joints, which only springs hold; no sensor sees them
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0)  # of the joint, in the frame `world`
    centre: tuple[float, float, float] = (0.0, 0.0, 0.048)  # m, where the joint is; as the URDF's
    mark: tuple[float, float, float] = (0.125, 0.0, 0.102)
    """m; a goal of 0 is shown here, at the end of the valve's marked lobe, and others around the
    axis."""


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


BARE = "bare"
"""The fixture of tasks without an object."""


@FIXTURES.register
def bare() -> Fixture:
    """Build the valve's motor with nothing on it."""
    return replace(valve(), name=BARE, urdf="objects/bare.urdf.xacro")


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
        axis=(1.0, 0.0, 0.0),
        centre=(0.0, 0.0, 0.11),
        mark=(-0.06, 0.0, 0.06),  # at the block's free end, on the side of its marked face
    )


FOAM_LOBE = RoundBeam(modulus=100e3, poisson=0.3, radius=0.021, length=0.074)
"""From the hub to the end of a lobe of soft polyurethane foam; urdf/SOURCE.md."""


@FIXTURES.register
def valve_foam() -> Fixture:
    """Build the valve with lobes of foam."""
    return replace(
        valve(),
        name="valve_foam",
        urdf="objects/valve_foam.urdf.xacro",
        passive=tuple(f"lobe_{i}_{way}" for i in range(3) for way in ("up", "side")),
        softness=Softness(
            springs=dict.fromkeys(("lobe_*_up", "lobe_*_side"), FOAM_LOBE.joint_stiffness),
            armature=2e-5,
            friction=(1.5, 0.02, 0.0001),
            softness=(0.02, 1.0),
            impedance=(0.8, 0.9, 0.005),
        ),
    )
