"""MuJoCo scene of a station, built from the URDFs of hand and object.

The URDF gives bodies, joints, inertia and shapes. This file adds the elements that URDF lacks:
actuators, contact settings, a table, sites at the fingertips.
"""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from fnmatch import fnmatchcase

import mujoco

from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture, Softness
from handlab_sim.decor import decorate
from handlab_sim.urdf import station_urdf

CAPSULE_SUFFIX = "_capsule"
"""Name suffix of collision cylinders that become capsules, which URDF lacks."""

VISUAL_GROUP, COLLISION_GROUP, SITE_GROUP = 2, 3, 4


@dataclass(frozen=True)
class SceneConfig:
    """Simulation parameters that the URDF lacks."""

    timestep: float = 0.01
    """s; step of the simulation; chosen: a shorter step does not change a policy's transfer."""
    fixture_stiffness: float = 2.0
    """N m/rad; position gain of the object's motor; ROBEL's simulation. Hands have their own."""
    armature: float = 0.001
    """kg m2; reflected rotor inertia; ROBEL's simulation. A rotor of 1e-8 kg m2 behind a gear of
    1:300 has about this value."""
    friction: tuple[float, float, float] = (1.0, 0.005, 0.0001)
    """Sliding, torsional and rolling friction; 1 is the middle of ROBEL's range for the object.

    A contact takes the larger value of both geoms, so that the tips' own 0.2 has no effect."""
    contact_dimension: int = 4
    """Contact dimension with sliding and torsional friction; ROBEL's claw."""
    visuals: bool = False
    """Whether to keep visual shapes, which cost time and do not change the physics."""


def build_spec(hand: Hand, fixture: Fixture, config: SceneConfig) -> mujoco.MjSpec:
    """Build the scene of one station: table, hand and object."""
    robot = station_urdf(hand, fixture)
    # Compiler options of MuJoCo. Without fusing, fingertip links stay separate bodies.
    # Without stripping, paths of meshes stay whole.
    flags = {
        "fusestatic": "false",
        "discardvisual": str(not config.visuals).lower(),
        "strippath": "false",
    }
    ElementTree.SubElement(ElementTree.SubElement(robot, "mujoco"), "compiler", flags)
    spec = mujoco.MjSpec.from_string(ElementTree.tostring(robot, encoding="unicode"))
    _set_contacts(spec, config)
    spec.option.timestep = config.timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    _add_surroundings(spec, config)
    for joint, stiffness, damping in zip(hand.joints, hand.stiffness, hand.damping, strict=True):
        _add_servo(spec, joint, stiffness, damping, config)
    _add_servo(spec, fixture.joint, config.fixture_stiffness, 0.0, config)
    for tip in hand.fingertips:
        spec.body(tip).add_site(name=tip, size=[0.003] * 3, group=SITE_GROUP)
    _exclude_mounted_neighbours(spec)
    if fixture.softness is not None:
        _soften(spec, fixture, fixture.softness)
    for one, other in hand.overlapping:
        spec.add_exclude(bodyname1=one, bodyname2=other)
    return spec


def steps_in(period: float, timestep: float) -> int:
    """Return the number of simulation steps in a period, both s.

    Raises:
        BadConfig: it is not a whole number, or zero.
    """
    steps = round(period / timestep)
    if steps < 1 or abs(steps * timestep - period) > 1e-9:
        raise BadConfig(f"a period of {period} s is not a whole number of steps of {timestep} s")
    return steps


def _set_contacts(spec: mujoco.MjSpec, config: SceneConfig) -> None:
    for geom in spec.geoms:
        if geom.name.endswith(CAPSULE_SUFFIX):
            geom.type = mujoco.mjtGeom.mjGEOM_CAPSULE
        if geom.contype == 0:
            geom.group = VISUAL_GROUP
            continue
        geom.group = COLLISION_GROUP
        geom.condim = config.contact_dimension
        geom.friction = config.friction


def _add_surroundings(spec: mujoco.MjSpec, config: SceneConfig) -> None:
    world = spec.worldbody
    table = world.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0.6, 0.6, 0.05],
        friction=config.friction,
        condim=config.contact_dimension,
    )
    if config.visuals:
        decorate(spec, table)


def _add_servo(
    spec: mujoco.MjSpec, joint: str, stiffness: float, damping: float, config: SceneConfig
) -> None:
    """Add a position actuator; joint damping and largest effort come from the URDF."""
    spec.joint(joint).armature = config.armature
    effort = float(spec.joint(joint).actfrcrange[1])
    servo = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    servo.set_to_position(kp=stiffness, kv=damping)
    servo.forcelimited = True
    servo.forcerange = [-effort, effort]


def _soften(spec: mujoco.MjSpec, fixture: Fixture, softness: Softness) -> None:
    """Add springs to the object, and the contact settings of its soft material.

    A part on a spring never collides with the body that the object's motor turns.
    """
    core = next(body for body in spec.bodies if fixture.joint in (j.name for j in body.joints))
    for pattern, stiffness in softness.springs.items():
        sprung = [joint for joint in spec.joints if fnmatchcase(joint.name, pattern)]
        if not sprung:
            raise BadConfig(f"object {fixture.name}: no joint matches the spring {pattern!r}")
        for joint in sprung:
            joint.stiffness[0], joint.armature = stiffness, softness.armature
            part = joint.parent
            if part.geoms:
                spec.add_exclude(bodyname1=core.name, bodyname2=part.name)
            for geom in part.geoms:
                geom.priority = 1  # the foam's contact settings take precedence
                geom.friction = softness.friction
                geom.solref = softness.softness
                geom.solimp[:3] = softness.impedance


def _exclude_mounted_neighbours(spec: mujoco.MjSpec) -> None:
    """Exclude contacts between a moving body and its parent that is mounted to the world.

    MuJoCo excludes contacts between parent and child, except if the parent is fixed to the world.
    """
    for body in spec.bodies:
        parent = body.parent
        if body.joints and parent is not None and parent.name != "world":
            mounted = parent
            while mounted.name != "world" and not mounted.joints:
                mounted = mounted.parent
            if mounted.name == "world":
                spec.add_exclude(bodyname1=parent.name, bodyname2=body.name)
