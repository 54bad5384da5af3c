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
from handlab_core.hands.pneumatics import Chamber, Pneumatics
from handlab_core.hands.servo import ServoParameters, make_servos
from handlab_core.objects.fixture import Fixture, Softness
from handlab_sim.decor import decorate
from handlab_sim.urdf import station_urdf

CAPSULE_SUFFIX = "_capsule"
"""Name suffix of collision cylinders that become capsules, which URDF lacks."""

FRICTION = "_dry_friction"
"""Name suffix of the actuators that stand for dry friction."""
CREEP = 0.01
"""rad/s; speed up to which dry friction grows, and with which a joint creeps under its load."""

VISUAL_GROUP, COLLISION_GROUP, SITE_GROUP = 2, 3, 4


@dataclass(frozen=True)
class SceneConfig:
    """Simulation parameters that the URDF lacks."""

    timestep: float = 0.01
    """s; step of the simulation; chosen: a shorter step does not change a policy's transfer."""
    friction: tuple[float, float, float] = (1.0, 0.005, 0.0001)
    """Sliding, torsional and rolling friction; 1 is the middle of ROBEL's range for the object.

    A contact takes the larger value of both geoms, so that the tips' own 0.2 has no effect."""
    contact_dimension: int = 4
    """Contact dimension with sliding and torsional friction; ROBEL's claw."""
    dry_friction: bool = False
    """Whether joints can get dry friction later; a hand that has some gets it in any case."""
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
    if hand.pneumatics is not None:
        _add_chambers(spec, hand, hand.pneumatics)
    else:
        for i, joint in enumerate(hand.joints):
            _add_servo(spec, joint, hand.servos, i)
            # Of the object's axis the URDF has the friction.
            spec.joint(joint).damping[0] = hand.servos.viscous[i]
    _add_servo(spec, fixture.joint, make_servos(fixture.servo, 1), 0, fixture.per_rad)
    if config.dry_friction or hand.servos.coulomb.any():
        if hand.pneumatics is not None:
            raise BadConfig(f"the chambers of the {hand.name} hand have no dry friction to vary")
        for joint, coulomb in zip(hand.joints, hand.servos.coulomb, strict=True):
            _add_friction(spec, joint, coulomb)
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
    spec: mujoco.MjSpec, joint: str, servos: ServoParameters, i: int, per_rad: float = 1.0
) -> None:
    """Add the position actuator of servo `i`; the largest effort is at most that of the URDF.

    Args:
        spec: the scene.
        joint: joint that the servo moves.
        servos: parameters of the servos.
        i: number of the servo.
        per_rad: position of the joint per angle of the servo.
    """
    spec.joint(joint).armature = servos.armature[i] / per_rad**2
    effort = float(spec.joint(joint).actfrcrange[1]) * per_rad
    effort = min(effort, float(servos.torque_limit[i]))
    servo = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    servo.gear[0] = 1.0 / per_rad
    servo.set_to_position(kp=servos.stiffness[i], kv=servos.braking[i])
    servo.forcelimited = True
    servo.forcerange = [-effort, effort]


def _add_chambers(spec: mujoco.MjSpec, hand: Hand, pneumatics: Pneumatics) -> None:
    """Add the chambers, whose activations are their pressures [bar], and their chains."""
    servos = hand.servos
    for i, (name, chamber) in enumerate(zip(hand.joints, pneumatics.chambers, strict=True)):
        add_chain(spec, name, chamber)
        for link in chamber.chain:
            joint = spec.joint(link)
            joint.damping[0], joint.armature = servos.viscous[i], servos.armature[i]
        air = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_TENDON)
        air.dyntype, air.dynprm[0] = mujoco.mjtDyn.mjDYN_FILTEREXACT, pneumatics.time_constant
        air.gaintype, air.gainprm[0] = mujoco.mjtGain.mjGAIN_FIXED, servos.stiffness[i]
        air.biastype = mujoco.mjtBias.mjBIAS_NONE


def add_chain(spec: mujoco.MjSpec, name: str, chamber: Chamber) -> None:
    """Add the springs of a chain, and the tendon by which a chamber bends it.

    The tendon has the torque per pressure as coefficient of each joint.
    """
    tendon = spec.add_tendon(name=name)
    for link in chamber.chain:
        tendon.wrap_joint(link, chamber.gain)
        spec.joint(link).stiffness = [chamber.stiffness, 0.0, chamber.stiffening]


def _add_friction(spec: mujoco.MjSpec, joint: str, coulomb: float) -> None:
    """Add dry friction as a damper that saturates.

    MuJoCo's own `frictionloss` is a constraint for each joint, which takes a seventh of the speed.
    """
    damper = spec.add_actuator(name=joint + FRICTION, target=joint)
    damper.trntype = mujoco.mjtTrn.mjTRN_JOINT
    damper.gaintype, damper.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
    damper.gainprm[0], damper.biasprm[2] = 0.0, -coulomb / CREEP
    most = max(coulomb, 1e-9)  # MuJoCo takes no empty range
    damper.forcelimited, damper.forcerange = True, [-most, most]


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
