"""Models with varied objects, and several such models in one batch."""

import re
from collections.abc import Sequence
from dataclasses import replace

import mujoco
import numpy as np
from mujoco.batch import MODEL_FIELDS, Batch

from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture
from handlab_core.system import paths
from handlab_core.tasks.variation import ObjectVariation
from handlab_sim.scene import SceneConfig, build_spec

OPTIONS = "opt."
"""Name prefix of fields that belong to the whole simulation, not to an object."""


def varied_model(
    hand: Hand, fixture: Fixture, config: SceneConfig, variation: ObjectVariation
) -> mujoco.MjModel:
    """Compile the model of one station with a varied object.

    Raises:
        BadConfig: the object has no such variation; the message gives the reason.
    """
    spec = build_spec(hand, shaped(fixture, variation), config)
    body = spec.joint(fixture.joint).parent
    bodies = [body, *body.find_all("body")]
    if variation.mass != 1.0:
        for part in bodies:
            part.mass *= variation.mass
            part.inertia = part.inertia * variation.mass
            part.fullinertia = part.fullinertia * variation.mass
    if variation.friction != 1.0:
        _vary_friction([geom for part in bodies for geom in part.geoms], variation.friction)
    if variation.damping != 1.0:
        joint = spec.joint(fixture.joint)
        joint.damping = joint.damping * variation.damping
    if variation.stiffness != 1.0:
        _vary_stiffness([j for part in bodies for j in part.joints], fixture, variation.stiffness)
    return spec.compile()


def shaped(fixture: Fixture, variation: ObjectVariation) -> Fixture:
    """Return the fixture with the xacro arguments of a variation's shape.

    Raises:
        BadConfig: the fixture's xacro has no such argument.
    """
    wanted = {} if variation.scale == 1.0 else {"scale": repr(variation.scale)}
    if variation.lobes is not None:
        wanted["lobes"] = str(variation.lobes)
    known = re.findall(r'<xacro:arg\s+name="(\w+)"', paths.urdf(fixture.urdf).read_text())
    for name in wanted:
        if name not in known:
            raise BadConfig(
                f"object.{name} cannot be varied for {fixture.name}: {fixture.urdf} has no "
                f"argument {name}, only {', '.join(known) or 'none'}"
            )
    if "scale" in wanted and "scale" in fixture.arguments:
        wanted["scale"] = repr(variation.scale * float(fixture.arguments["scale"]))
    return replace(fixture, arguments={**fixture.arguments, **wanted})


def _vary_friction(geoms: Sequence[mujoco.MjsGeom], factor: float) -> None:
    """Scale the friction of geoms and give it priority over that of touching geoms.

    Without priority, MuJoCo takes the larger friction of two geoms.
    """
    for geom in geoms:
        if geom.contype or geom.conaffinity:
            geom.friction = geom.friction * factor
            geom.priority = max(geom.priority, 1)


def _vary_stiffness(joints: Sequence[mujoco.MjsJoint], fixture: Fixture, factor: float) -> None:
    soft = [joint for joint in joints if np.any(joint.stiffness)]
    if not soft:
        raise BadConfig(f"object.stiffness cannot be varied for {fixture.name}, which is rigid")
    for joint in soft:
        joint.stiffness = joint.stiffness * factor


def spread(batch: Batch, base: mujoco.MjModel, models: Sequence[mujoco.MjModel]) -> None:
    """Copy the values of individual models into a batch, where they differ from `base`.

    Args:
        batch: batch of the model `base`.
        base: common model.
        models: one model for each simulation of the batch.

    Raises:
        BadConfig: the models differ in structure, as objects with other numbers of lobes do.
    """
    if any(model.ngeom != base.ngeom or model.nbvh != base.nbvh for model in models):
        raise BadConfig("objects side by side must have the same number of lobes")
    for name in sorted(MODEL_FIELDS):
        if name.startswith(OPTIONS):
            continue
        own = [np.asarray(getattr(model, name)) for model in models]
        if all(np.array_equal(value, getattr(base, name)) for value in own):
            continue
        field = batch.expand(name)
        for row, value in zip(field, own, strict=True):
            row[...] = value[: len(row)]  # a batch holds only the bodies' bounding volumes
