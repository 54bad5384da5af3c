"""One model of the servos, for simulation, emulators and identification alike.

A servo turns a joint by a position loop around a DC motor behind a gear:

    torque   = clip(gain (target - q) - (loop_damping + back_emf) qd, +-max_torque)
    friction = viscous qd + coulomb sign(qd)

`armature` is the inertia of the rotor, reflected to the joint. The target arrives `delay` late, in
steps of `resolution`, and the gear loses `backlash` where it turns back. A supply below the nominal
voltage lowers gain and largest torque in proportion, since the loop commands a fraction of it.

`SERVO_TYPES` holds the figures, each with its source. The claw is simulated with the type
`robel`, the values of ROBEL's simulation. They are far softer than an XM430 with factory settings:
P = 800 commands 4.6 times the full voltage per rad, which is 13.8 N m/rad.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.types import Array

TICKS_PER_TURN = 4096
"""Steps of a servo's encoder in one turn; XM430-W210 e-manual."""
TICK = 2 * math.pi / TICKS_PER_TURN  # rad

Status = Literal["published", "derived", "chosen"]
"""Origin of a figure: a source that is named, arithmetic on such figures, or a guess."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a servo type, and where it is from."""

    value: float
    source: str
    status: Status = "published"


@dataclass(frozen=True, slots=True)
class ServoType:
    """Figures of one type of servo, as mounted in a hand."""

    gain: Figure  # N m/rad; proportional gain of the position loop
    loop_damping: Figure  # N m s/rad; derivative gain of the position loop
    back_emf: Figure  # N m s/rad; slope of the torque-speed line: stall torque / no-load speed
    max_torque: Figure  # N m; current or PWM limit, as torque
    no_load_speed: Figure  # rad/s; speed without load at the nominal voltage
    armature: Figure  # kg m2; reflected inertia of the rotor
    coulomb: Figure  # N m; dry friction
    viscous: Figure  # N m s/rad; viscous friction, also without torque
    backlash: Figure  # rad; play of the gear, end to end
    delay: Figure  # s; from a written goal to the motion
    resolution: Figure  # rad; step of goals and positions, 0: continuous
    voltage: Figure  # V; nominal supply


P_GAIN_UNIT, FULL_PWM = 128, 885
"""Divisor of the position P gain; PWM counts of full voltage; XM430-W210 e-manual."""
COULOMB = 0.03
"""Dry friction as a fraction of the stall torque; chosen."""

ROBEL = "google-research/robel-scenes, dclaw3xh"
EMANUAL = "XM430-W210 e-manual"
DRIVER = "gains and PWM limits of the vendor's V4 driver; 0.7 N m at 1200 counts"
NOTHING = Figure(0.0, "ROBEL's simulation has none")
NO_AIR = Figure(0.0, "air has none", "derived")

SERVO_TYPES: Mapping[str, ServoType] = {
    "robel": ServoType(
        gain=Figure(2.0, ROBEL),
        loop_damping=Figure(0.0, ROBEL),
        back_emf=Figure(0.0, "part of the viscous friction", "derived"),
        max_torque=Figure(3.0, f"{EMANUAL}: stall torque at 12 V"),
        no_load_speed=Figure(77 * math.pi / 30, f"{EMANUAL}: 77 rpm at 12 V"),
        armature=Figure(0.001, ROBEL),
        coulomb=NOTHING,
        viscous=Figure(0.1, ROBEL),
        backlash=NOTHING,
        delay=NOTHING,
        resolution=NOTHING,
        voltage=Figure(12.0, EMANUAL),
    ),
    "XM430-W210": ServoType(
        gain=Figure(
            800 / P_GAIN_UNIT / FULL_PWM / TICK * 3.0,
            f"{EMANUAL}: P 800 commands 800/128 PWM counts per tick; 885 counts are 3 N m at stall",
            "derived",
        ),
        loop_damping=Figure(0.0, f"{EMANUAL}: D 0"),
        back_emf=Figure(
            3.0 / (77 * math.pi / 30), f"{EMANUAL}: 3 N m at rest, none at 77 rpm", "derived"
        ),
        max_torque=Figure(3.0, f"{EMANUAL}: stall torque at 12 V"),
        no_load_speed=Figure(77 * math.pi / 30, f"{EMANUAL}: 77 rpm at 12 V"),
        armature=Figure(0.001, f"as {ROBEL}; the vendor publishes none", "chosen"),
        coulomb=Figure(
            COULOMB * 3.0, "3 % of the stall torque; the vendor publishes none", "chosen"
        ),
        viscous=Figure(0.01, "the vendor publishes none", "chosen"),
        backlash=Figure(math.radians(0.25), "15 arcmin, a usual figure of such gears", "chosen"),
        delay=Figure(0.002, "two periods of a loop at 1 kHz", "chosen"),
        resolution=Figure(TICK, f"{EMANUAL}: 4096 steps in a turn"),
        voltage=Figure(12.0, EMANUAL),
    ),
    "leap": ServoType(
        gain=Figure(
            3.0,
            "MuJoCo Menagerie; the API's P gain of 600 makes 3.2: for each step of the encoder "
            "600/128 of the 885 that are full PWM, which gives the stall torque",
        ),
        loop_damping=Figure(
            0.1, "leap-hand/LEAP_Hand_Sim; the back-EMF alone has 0.93 N m / 8.48 rad/s"
        ),
        back_emf=Figure(0.0, "part of the loop's damping", "derived"),
        max_torque=Figure(
            0.93 * 0.5 / 1.8,
            "XC330-M288 e-manual: 0.93 N m at 1.8 A and 5 V; limit of 0.5 A of LEAP_Hand_API",
            "derived",
        ),
        no_load_speed=Figure(81 * math.pi / 30, "XC330-M288 e-manual: 81 rpm at 5 V"),
        armature=Figure(0.001, f"as {ROBEL}; the vendor publishes none", "chosen"),
        coulomb=Figure(0.0, "the vendor publishes none", "chosen"),
        viscous=Figure(0.03, "MuJoCo Menagerie"),
        backlash=Figure(0.0, "the vendor publishes none", "chosen"),
        delay=Figure(0.0, "the vendor publishes none", "chosen"),
        resolution=Figure(0.0, "continuous in simulation; 4096 steps on the wire", "chosen"),
        voltage=Figure(5.0, "XC330-M288 e-manual"),
    ),
    "allegro": ServoType(
        gain=Figure(0.7 / 1200 * 4000, f"{DRIVER}: 4000 counts per rad", "derived"),
        loop_damping=Figure(0.7 / 1200 * 150, f"{DRIVER}: 150 or more counts per rad/s", "derived"),
        back_emf=Figure(0.0, "part of the viscous friction", "derived"),
        max_torque=Figure(0.7 / 1200 * 270, f"{DRIVER}: 270 or more counts", "derived"),
        no_load_speed=Figure(7.0, "velocity limit in the vendor's URDF"),
        armature=Figure(0.001, f"as {ROBEL}; the vendor publishes none", "chosen"),
        coulomb=Figure(0.0, "the vendor publishes none", "chosen"),
        viscous=Figure(0.1, f"as {ROBEL}; urdf/SOURCE.md", "chosen"),
        backlash=Figure(0.0, "the vendor publishes none", "chosen"),
        delay=Figure(0.0, "the host's loop at 333 Hz adds its own", "chosen"),
        resolution=Figure(0.0, "the host's loop has continuous targets", "derived"),
        voltage=Figure(12.0, "vendor's manual of V4"),
    ),
    "thread": ServoType(
        gain=Figure(0.3, "holds 1 N on a pulley of 20 mm within 0.07 rad", "chosen"),
        loop_damping=Figure(0.008, "more than critical for 0.1 kg on such a pulley", "derived"),
        back_emf=Figure(0.0, "part of the loop's damping", "derived"),
        max_torque=Figure(
            0.2, "10 N on a pulley of 20 mm: more than hooked fingers pull", "chosen"
        ),
        no_load_speed=Figure(8.0, "as the valve's motor", "chosen"),
        armature=Figure(2e-5, "50 g on a pulley of 20 mm; a small motor with a gear", "chosen"),
        coulomb=Figure(0.0, "part of the object's friction", "derived"),
        viscous=Figure(0.0, "part of the object's damping", "derived"),
        backlash=Figure(0.0, "a thread has none", "derived"),
        delay=Figure(0.0, "used for resets only", "chosen"),
        resolution=Figure(0.0, "continuous in simulation", "chosen"),
        voltage=Figure(12.0, "as the valve's motor", "chosen"),
    ),
    "valve": ServoType(
        gain=Figure(1.0, "fraction of the pressure that acts; a regulator has no steady error"),
        loop_damping=NO_AIR,
        back_emf=NO_AIR,
        max_torque=Figure(0.8, "bar; supply of the RBO Hand 2"),
        no_load_speed=Figure(8.0, "bar/s; the whole range in a control period", "chosen"),
        armature=Figure(
            1e-5, "kg m2 of each link: its contacts find some mass to act on", "chosen"
        ),
        coulomb=NO_AIR,
        viscous=Figure(0.005, "N m s/rad of each link: a chain settles in 20 ms", "chosen"),
        backlash=NO_AIR,
        delay=Figure(0.0, "the first-order pressure stands for the valve, too", "chosen"),
        resolution=Figure(0.0, "a proportional valve is continuous", "chosen"),
        voltage=Figure(24.0, "a usual figure of such valves", "chosen"),
    ),
}
"""Servo types by name. `thread` draws objects that slide; `valve` has the figures of a chamber of a
soft hand, in bar. The Allegro hand's gains differ by joint; `handlab_core.hands.allegro`."""


@dataclass(frozen=True)
class ServoParameters:
    """Parameters of the servos of n joints, (n,) each, in joint order; see the module."""

    gain: Array  # N m/rad
    loop_damping: Array  # N m s/rad
    back_emf: Array  # N m s/rad
    max_torque: Array  # N m
    armature: Array  # kg m2
    coulomb: Array  # N m
    viscous: Array  # N m s/rad
    backlash: Array  # rad
    delay: Array  # s
    resolution: Array  # rad
    supply: Array  # fraction of the nominal voltage
    zero: Array  # rad; error of the encoder's zero: measured minus true angle

    def __post_init__(self) -> None:
        """Freeze the arrays; BadConfig if shapes differ or a value is impossible."""
        n, values = len(self.gain), [getattr(self, name) for name in NAMES]
        for value in values:
            value.setflags(write=False)
        if all(value.shape == (n,) for value in values):
            every = np.array(values)
            if np.isfinite(every).all() and every[:-1].min(initial=0.0) >= 0.0:
                return
        for name, value in zip(NAMES, values, strict=True):
            if value.shape != (n,) or not np.isfinite(value).all():
                raise BadConfig(f"{name} of servos must be {n} finite numbers, not {value}")
            if name != "zero" and (value < 0.0).any():
                raise BadConfig(f"{name} of servos cannot be negative: {value}")

    @property
    def n(self) -> int:
        """Number of joints."""
        return len(self.gain)

    @property
    def stiffness(self) -> Array:
        """Gain at the present supply, (n,) N m/rad."""
        return self.gain * self.supply

    @property
    def braking(self) -> Array:
        """Torque per speed that the engaged servo adds to its friction, (n,) N m s/rad."""
        return self.loop_damping * self.supply + self.back_emf

    @property
    def damping(self) -> Array:
        """Torque per speed of an engaged joint, with viscous friction, (n,) N m s/rad."""
        return self.braking + self.viscous

    @property
    def torque_limit(self) -> Array:
        """Largest torque at the present supply, (n,) N m."""
        return self.max_torque * self.supply


NAMES = tuple(field.name for field in fields(ServoParameters))
"""Names of the parameters; `zero`, the last, can be negative."""


def make_servos(name: str, n: int) -> ServoParameters:
    """Return the parameters of n servos of a type; raise UnknownName if there is none."""
    if name not in SERVO_TYPES:
        raise UnknownName("servo type", name, SERVO_TYPES)
    kind = SERVO_TYPES[name]
    given = {
        field.name: np.full(n, getattr(kind, field.name).value)
        for field in fields(ServoParameters)
        if field.name not in ("zero", "supply")
    }
    return ServoParameters(**given, zero=np.zeros(n), supply=np.ones(n))


def dynamixel_servos(stall: Array, no_load: Array, p_gain: Array) -> ServoParameters:
    """Return the parameters of X series servos by the figures of their e-manuals, (n,) each.

    Friction is in proportion to the stall torque, as that of the type `XM430-W210`; the vendor
    publishes none.

    Args:
        stall: N m; stall torque at the nominal voltage.
        no_load: rad/s; speed without load at the nominal voltage.
        p_gain: position P gain, register value.
    """
    known = make_servos("XM430-W210", len(stall))
    return replace(
        known,
        gain=p_gain / P_GAIN_UNIT / FULL_PWM / TICK * stall,
        back_emf=stall / no_load,
        max_torque=stall,
        coulomb=COULOMB * stall,
    )


def motor_torque(
    duty: Array, velocity: Array, stall: Array, no_load: Array, supply: Array
) -> Array:
    """Return the torque of DC motors, N m, on their torque-speed line.

    Args:
        duty: -1 to 1; fraction of the supply voltage.
        velocity: rad/s.
        stall: N m; stall torque at the nominal voltage.
        no_load: rad/s; speed without load at the nominal voltage.
        supply: present supply as a fraction of the nominal one.
    """
    torque: Array = stall * (duty * supply - velocity / no_load)
    return torque


def after_friction(velocity: Array, loss: Array) -> Array:
    """Return velocities after dry friction, which takes at most all of them.

    Args:
        velocity: rad/s.
        loss: rad/s; friction times time step over inertia.
    """
    slowed: Array = np.sign(velocity) * np.maximum(np.abs(velocity) - loss, 0.0)
    return slowed
