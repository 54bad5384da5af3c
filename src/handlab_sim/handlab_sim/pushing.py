"""Compliance of a valve's lobe: displacement under a force.

The hub is fixed, so that only the lobe moves. `bend` applies a force to the lobe's middle line and
measures its bending. `press` pushes a probe like a fingertip against its side and measures bending
and indentation together.
"""

from collections.abc import Sequence

import mujoco
import numpy as np

from handlab_core.hands import make_hand
from handlab_core.objects.fixture import Fixture
from handlab_core.types import Array
from handlab_sim.scene import SceneConfig, build_spec

LOBE, PROBE = "lobe_0_capsule", "probe"
HAND = make_hand("claw")
"""Hand of the scene; it does not touch the valve."""

HEAVY = 1e6
"""kg m2; additional inertia that fixes the hub; chosen."""
SETTLING = 3.0
"""s; simulated time, far above the settling time of foam; chosen."""

PROBE_RADIUS, PROBE_HALF_LENGTH = 0.011, 0.02
"""m; size of the claw's fingertips; urdf/SOURCE.md."""
PROBE_MASS, PROBE_DAMPING = 0.2, 40.0
"""kg, N s/m; mass and damping of the probe; chosen: about a servo's armature at the fingertip, and
enough damping to settle."""


def bend(fixture: Fixture, forces: Sequence[float], reach: float) -> Array:
    """Return the sideways displacement of a lobe's middle line for each force, (len(forces),) m.

    Args:
        fixture: a valve.
        forces: forces, N, each in a simulation of its own.
        reach: distance of the force from the valve's axis, m.
    """
    model = _scene(fixture).compile()
    data = _at_rest(model)
    lobe, body = data.geom(LOBE).xpos, int(model.geom(LOBE).bodyid[0])
    point = np.array([reach, 0.0, lobe[2]])
    inside = data.xmat[body].reshape(3, 3).T @ (point - data.xpos[body])
    return np.array([_bent(model, body, inside, force) for force in forces])


def _bent(model: mujoco.MjModel, body: int, inside: Array, force: float) -> float:
    """Push a point of a body, given in its frame, along y; return its final y, m."""
    data = _at_rest(model)
    for _ in range(round(SETTLING / model.opt.timestep)):
        at = data.xpos[body] + data.xmat[body].reshape(3, 3) @ inside
        data.qfrc_applied[:] = 0.0
        push = np.array([0.0, force, 0.0])
        mujoco.mj_applyFT(model, data, push, np.zeros(3), at, body, data.qfrc_applied)
        mujoco.mj_step(model, data)
    return float((data.xpos[body] + data.xmat[body].reshape(3, 3) @ inside)[1])


def press(fixture: Fixture, forces: Sequence[float], reach: float) -> Array:
    """Return the displacement of a probe against a lobe's side for each force; see `bend`."""
    spec = _scene(fixture)
    lobe = _at_rest(spec.compile()).geom(LOBE)
    radius = float(spec.geom(LOBE).size[0])
    probe = spec.worldbody.add_body(
        name=PROBE,
        pos=[reach, -radius - PROBE_RADIUS, lobe.xpos[2]],
        mass=PROBE_MASS,
        inertia=[PROBE_MASS * PROBE_HALF_LENGTH**2] * 3,  # unused: the probe only slides
        explicitinertial=True,
    )
    slide = probe.add_joint(name=PROBE, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 1, 0])
    slide.damping[0] = PROBE_DAMPING
    tip = probe.add_geom(name=PROBE, type=mujoco.mjtGeom.mjGEOM_CAPSULE)
    tip.size = [PROBE_RADIUS, PROBE_HALF_LENGTH, 0.0]
    tip.friction, tip.condim = SceneConfig().friction, SceneConfig().contact_dimension
    model = spec.compile()
    return np.array([_pressed(model, force) for force in forces])


def _pressed(model: mujoco.MjModel, force: float) -> float:
    data = _at_rest(model)
    data.joint(PROBE).qfrc_applied[0] = force
    mujoco.mj_step(model, data, round(SETTLING / model.opt.timestep))
    return float(data.joint(PROBE).qpos[0])


def _scene(fixture: Fixture) -> mujoco.MjSpec:
    """Return the scene of a fixture with a fixed hub."""
    spec = build_spec(HAND, fixture, SceneConfig())
    spec.joint(fixture.joint).armature = HEAVY
    return spec


def _at_rest(model: mujoco.MjModel) -> mujoco.MjData:
    """Return the state with the hand in its nominal pose above the valve."""
    data = mujoco.MjData(model)
    for joint, angle in zip(HAND.joints, HAND.nominal, strict=True):
        data.joint(joint).qpos[0] = data.actuator(joint).ctrl[0] = angle
    mujoco.mj_forward(model, data)
    return data
