"""From the URDFs of a hand and an object to a MuJoCo world.

The URDF gives bodies, joints, inertia and shapes. This file adds what URDF cannot say: servos,
contact settings, a table, sites at the fingertips.
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
"""A collision cylinder so named stands for a capsule, which URDF does not have."""

VISUAL_GROUP, COLLISION_GROUP, SITE_GROUP = 2, 3, 4


@dataclass(frozen=True)
class SceneConfig:
    """How the world behaves where the URDF is silent."""

    timestep: float = 0.01
    """s. Which contacts exist matters for a policy's transfer, the step and the cone do not."""
    fixture_stiffness: float = 2.0
    """N m/rad, position gain of the object's motor; ROBEL's simulation. A hand brings its own."""
    armature: float = 0.001
    """kg m2, reflected rotor inertia; ROBEL's simulation, and about what a rotor of 1e-8 kg m2
    behind a small hand's gear of 1:300 gives."""
    friction: tuple[float, float, float] = (1.0, 0.005, 0.0001)
    """Sliding, torsional, rolling. Sliding 1 is the middle of what ROBEL randomises over for the
    object; a pair takes the larger value, so the tips' own 0.2 never acts."""
    contact_dimension: int = 4
    """Sliding and torsional friction; ROBEL's claw."""
    visuals: bool = False
    """Keep the shapes that are only for the eye; they cost time and change nothing else."""


def build_spec(hand: Hand, fixture: Fixture, config: SceneConfig) -> mujoco.MjSpec:
    """Build the world of one station: table, hand, object."""
    robot = station_urdf(hand, fixture)
    # For MuJoCo alone. Fingertip links stay bodies of their own.
    flags = {"fusestatic": "false", "discardvisual": str(not config.visuals).lower()}
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
    """A position servo; the joint's own damping and its largest effort come from the URDF."""
    spec.joint(joint).armature = config.armature
    effort = float(spec.joint(joint).actfrcrange[1])
    servo = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    servo.set_to_position(kp=stiffness, kv=damping)
    servo.forcelimited = True
    servo.forcerange = [-effort, effort]


def _soften(spec: mujoco.MjSpec, fixture: Fixture, softness: Softness) -> None:
    """Give the object springs, and its soft parts the contact of their material.

    A part that a spring carries never touches the body that the object's motor turns: it is grown
    together with it.
    """
    core = next(body for body in spec.bodies if fixture.joint in (j.name for j in body.joints))
    for pattern, stiffness in softness.springs.items():
        sprung = [joint for joint in spec.joints if fnmatchcase(joint.name, pattern)]
        if not sprung:
            raise BadConfig(f"object {fixture.name}: a spring for {pattern!r}, and no such joint")
        for joint in sprung:
            joint.stiffness[0], joint.armature = stiffness, softness.armature
            part = joint.parent
            if part.geoms:
                spec.add_exclude(bodyname1=core.name, bodyname2=part.name)
            for geom in part.geoms:
                geom.priority = 1  # the foam's contact settings and not the other's
                geom.friction = softness.friction
                geom.solref = softness.softness
                geom.solimp[:3] = softness.impedance


def _exclude_mounted_neighbours(spec: mujoco.MjSpec) -> None:
    """Let a moving body not collide with the mounted body that carries its bearing.

    MuJoCo leaves out contacts between parent and child by itself, but not where the parent is
    mounted to the world.
    """
    for body in spec.bodies:
        parent = body.parent
        if body.joints and parent is not None and parent.name != "world":
            mounted = parent
            while mounted.name != "world" and not mounted.joints:
                mounted = mounted.parent
            if mounted.name == "world":
                spec.add_exclude(bodyname1=parent.name, bodyname2=body.name)
