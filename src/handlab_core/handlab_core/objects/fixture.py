"""Fixtures: the joint that an object turns on, with a motor for resets and an encoder."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from handlab_core.objects.beam import RoundBeam
from handlab_core.system import paths
from handlab_core.system.registry import Registry

FIXTURE_SERVO = "robel"
"""Servo type of the motor of an object that turns."""


@dataclass(frozen=True)
class Softness:
    """Properties of a soft object that a URDF cannot describe: springs and contact."""

    springs: Mapping[str, float]
    """N m/rad; stiffness of the joints without motor, by pattern of their names."""
    armature: float
    """kg m2; armature of each of these joints."""
    friction: tuple[float, float, float]
    """Coefficients of friction: sliding, torsional [m], rolling [m]."""
    softness: tuple[float, float]
    """MuJoCo's solref of the contacts: time constant [s] and damping ratio."""
    impedance: tuple[float, float, float]
    """MuJoCo's solimp of the contacts: minimum, maximum, and width [m]."""


@dataclass(frozen=True)
class Fixture:
    """One object on one joint."""

    name: str
    urdf: str  # path of the xacro below urdf/
    joint: str
    lower: float  # rad; lower end of the joint's range
    upper: float  # rad; upper end of the joint's range
    max_rate: float  # rad/s; speed limit of the motor
    max_effort: float  # N m; effort limit of the motor
    damping: float = 0.1  # N m s/rad; damping of the joint; URDF
    friction: float = 0.01  # N m; dry friction of the joint; URDF
    arguments: Mapping[str, str] = field(default_factory=dict)  # arguments of the xacro
    softness: Softness | None = None  # None: rigid
    passive: tuple[str, ...] = ()  # joints on springs, without motor and sensor
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0)  # axis of the joint, in the frame `world`
    centre: tuple[float, float, float] = (0.0, 0.0, 0.048)  # m; position of the joint; URDF
    mark: tuple[float, float, float] = (0.125, 0.0, 0.102)
    """m; position of the mark for a goal of 0, at the end of the valve's marked lobe. Marks of
    other goals are turned about the axis."""
    travel: float | None = None
    """m/rad; way of an object that slides along the axis on a thread, by the angle of the motor's
    pulley. Angles, speeds and efforts of the fixture are the motor's. None: the object turns."""
    servo: str = FIXTURE_SERVO
    """Servo type of the motor."""

    @property
    def mark_centre(self) -> tuple[float, float, float]:
        """Return the point of the axis that is nearest to the mark; m, in the frame `world`."""
        arm = np.subtract(self.mark, self.centre)
        x, y, z = (self.centre + np.multiply(self.axis, np.dot(self.axis, arm))).tolist()
        return x, y, z

    @property
    def per_rad(self) -> float:
        """Position of the description's joint per angle of the motor: m/rad, or 1 if it turns."""
        return 1.0 if self.travel is None else self.travel

    def mark_position(self, angle: float) -> tuple[float, float, float]:
        """Return the mark's position for an angle [rad] of the object; m, in the frame `world`."""
        if self.travel is not None:
            way = np.add(self.mark, np.multiply(self.axis, self.travel * angle)).tolist()
            return way[0], way[1], way[2]
        centre = self.mark_centre
        arm = np.subtract(self.mark, centre)
        turned = arm * math.cos(angle) + np.cross(self.axis, arm) * math.sin(angle)
        x, y, z = (centre + turned).tolist()
        return x, y, z


def xacro_arguments(fixture: Fixture) -> tuple[str, ...]:
    """Return the names of the arguments of a fixture's xacro, in the order of the file."""
    found = re.findall(r'<xacro:arg\s+name="(\w+)"', paths.urdf(fixture.urdf).read_text())
    return tuple(found)


MARK_RADIUS = 0.012
"""m; radius of the ball that shows a goal. Chosen: about half a lobe's."""

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
        max_rate=6.0,  # rad/s; below the no-load speed of 8 rad/s; XM430-W210 e-manual
        max_effort=3.0,  # N m; stall torque at 12 V; XM430-W210 e-manual
    )


@FIXTURES.register
def valve_turns() -> Fixture:
    """Build the same valve with twice the range, which only the motor's turn counter limits."""
    return replace(
        valve(),
        name="valve_turns",
        lower=-4 * np.pi,
        upper=4 * np.pi,
        arguments={"half_turns": "4"},
    )


BARE = "bare"
"""Name of the fixture without an object."""


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
"""Lobe of soft polyurethane foam, from hub to end; urdf/SOURCE.md."""


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


PULLEY = 0.02
"""m; radius of the motor's pulley, on which the thread of a sliding object winds; chosen."""


@FIXTURES.register
def bead() -> Fixture:
    """Build the bead of an abacus, which slides towards the palm."""
    return _sliding(
        "bead",
        lower=-0.004,
        upper=0.08,
        damping=20.0,
        friction=0.2,
        axis=(-1.0, 0.0, 0.0),
        centre=(-0.012, 0.076, 0.135),
        mark=(-0.012, 0.076, 0.165),
    )


@FIXTURES.register
def bottle() -> Fixture:
    """Build the lying bottle, which sinks unless it is held."""
    return _sliding(
        "bottle",
        lower=-0.1,
        upper=0.01,
        damping=100.0,
        friction=0.05,
        axis=(0.0, 0.0, 1.0),
        centre=(-0.018, 0.052, 0.134),
        mark=(-0.018, 0.165, 0.134),
    )


def _sliding(
    name: str,
    lower: float,
    upper: float,
    damping: float,
    friction: float,
    axis: tuple[float, float, float],
    centre: tuple[float, float, float],
    mark: tuple[float, float, float],
) -> Fixture:
    """Build an object that slides on a thread.

    Args:
        name: name of the fixture, of its joint and of its description.
        lower: m; lower end of the way.
        upper: m; upper end of the way.
        damping: N s/m; damping of the object; URDF.
        friction: N; dry friction of the object; URDF.
        axis: direction of the way, in the frame `world`.
        centre: m; position of the joint.
        mark: m; position of the mark for a goal of 0.
    """
    return Fixture(
        name=name,
        urdf=f"objects/{name}.urdf.xacro",
        joint=name,
        lower=lower / PULLEY,
        upper=upper / PULLEY,
        max_rate=6.0,  # rad/s; as the valve's
        max_effort=0.2,  # N m; of the thread's motor
        damping=damping * PULLEY**2,
        friction=friction * PULLEY,
        axis=axis,
        centre=centre,
        mark=mark,
        travel=PULLEY,
        servo="thread",
    )
