"""Push one lobe of a valve and see how far it gives.

The hub is held, so that only the lobe gives. Its middle line is pushed by a bare force, which shows
how it bends; or its side by a probe like a fingertip, which shows what a finger feels: the bending
and the dent.
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
"""It only hangs above; a scene has one."""

HEAVY = 1e6
"""kg m2, added to the hub, which then stands still."""
SETTLING = 3.0
"""s, far longer than foam takes to give."""

PROBE_RADIUS, PROBE_HALF_LENGTH = 0.011, 0.02
"""m; the claw's tips, urdf/SOURCE.md."""
PROBE_MASS, PROBE_DAMPING = 0.2, 40.0
"""kg and N s/m. Chosen: about a servo's armature at the end of a finger, and enough to rest."""


def bend(fixture: Fixture, forces: Sequence[float], reach: float) -> Array:
    """How far a lobe's middle line gives sideways to each force, (len(forces),) m.

    Args:
        fixture: a valve.
        forces: N, each in a world of its own.
        reach: m from the valve's axis, where they push.
    """
    model = _scene(fixture).compile()
    data = _at_rest(model)
    lobe, body = data.geom(LOBE).xpos, int(model.geom(LOBE).bodyid[0])
    point = np.array([reach, 0.0, lobe[2]])
    inside = data.xmat[body].reshape(3, 3).T @ (point - data.xpos[body])
    return np.array([_bent(model, body, inside, force) for force in forces])


def _bent(model: mujoco.MjModel, body: int, inside: Array, force: float) -> float:
    """Push a point of a body, given in its frame, along y; return where it comes to, y in m."""
    data = _at_rest(model)
    for _ in range(round(SETTLING / model.opt.timestep)):
        at = data.xpos[body] + data.xmat[body].reshape(3, 3) @ inside
        data.qfrc_applied[:] = 0.0
        push = np.array([0.0, force, 0.0])
        mujoco.mj_applyFT(model, data, push, np.zeros(3), at, body, data.qfrc_applied)
        mujoco.mj_step(model, data)
    return float((data.xpos[body] + data.xmat[body].reshape(3, 3) @ inside)[1])


def press(fixture: Fixture, forces: Sequence[float], reach: float) -> Array:
    """How far a probe goes into a lobe's side for each force, (len(forces),) m; see `bend`."""
    spec = _scene(fixture)
    lobe = _at_rest(spec.compile()).geom(LOBE)
    radius = float(spec.geom(LOBE).size[0])
    probe = spec.worldbody.add_body(
        name=PROBE,
        pos=[reach, -radius - PROBE_RADIUS, lobe.xpos[2]],
        mass=PROBE_MASS,
        inertia=[PROBE_MASS * PROBE_HALF_LENGTH**2] * 3,  # it never turns
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
    """The fixture with its hub held."""
    spec = build_spec(HAND, fixture, SceneConfig())
    spec.joint(fixture.joint).armature = HEAVY
    return spec


def _at_rest(model: mujoco.MjModel) -> mujoco.MjData:
    """The hand above the valve, where it touches nothing."""
    data = mujoco.MjData(model)
    for joint, angle in zip(HAND.joints, HAND.nominal, strict=True):
        data.joint(joint).qpos[0] = data.actuator(joint).ctrl[0] = angle
    mujoco.mj_forward(model, data)
    return data
