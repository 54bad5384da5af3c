"""Variation of an Adroit object's size, mass, friction and damping in the compiled model."""

from dataclasses import replace
from typing import Any

import mujoco
import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.tasks.adroit import SuiteTask
from handlab_core.tasks.adroit.turning import TURNINGS
from handlab_core.tasks.variation import ObjectVariation
from handlab_core.types import Array

BODIES = {
    "AdroitHandDoor": ("door", "latch"),
    "AdroitHandHammer": ("Object",),
    "AdroitHandPen": ("Object",),
    "AdroitHandRelocate": ("Object",),
    **dict.fromkeys(TURNINGS, ("Object",)),
}
"""Bodies of the object; for the door: leaf and latch, without the frame."""

LYING = ("AdroitHandHammer", "AdroitHandRelocate")
"""Environments whose object lies on the table, so that its height depends on its size."""

ONE_SIZE = ("AdroitHandDoor", *TURNINGS)
"""Environments whose object keeps its size: the grasp fits this one."""

FIELDS = (
    "body_mass", "body_inertia", "body_ipos", "body_pos", "geom_size", "geom_pos", "geom_rbound",
    "geom_aabb", "geom_friction", "site_pos", "dof_damping", "bvh_aabb",
)  # fmt: skip
"""Fields of the model that a variation changes."""


class AdroitObject:
    """Object of a compiled model; every variation starts from the compiled values.

    Args:
        task: task of the suite.
        model: compiled model.
        data: data of the model; a variation resets it.
    """

    def __init__(self, task: SuiteTask, model: Any, data: Any) -> None:
        self._task, self._model, self._data = task, model, data
        self._own: dict[str, Array] = {name: getattr(model, name).copy() for name in FIELDS}
        bodies = [model.body(name).id for name in BODIES[task.environment]]
        self._bodies = np.array(bodies)
        self._geoms = np.flatnonzero(np.isin(model.geom_bodyid, bodies))
        self._sites = np.flatnonzero(np.isin(model.site_bodyid, bodies))
        self._dofs = np.flatnonzero(np.isin(model.dof_bodyid, bodies))

    def become(self, chosen: ObjectVariation) -> None:
        """Apply a variation to the object.

        Raises:
            BadConfig: this object has no such variation; the message lists those it has.
        """
        self._check(chosen)
        model, own, scale = self._model, self._own, chosen.scale
        for name, value in own.items():
            getattr(model, name)[:] = value
        b, g = self._bodies, self._geoms
        model.body_mass[b] *= chosen.mass * scale**3
        model.body_inertia[b] *= chosen.mass * scale**5
        model.body_ipos[b] *= scale
        model.geom_size[g] *= scale
        model.geom_pos[g] *= scale
        model.geom_rbound[g] *= scale
        model.geom_aabb[g] *= scale
        for body in b:
            first, count = model.body_bvhadr[body], model.body_bvhnum[body]
            model.bvh_aabb[first : first + count] *= scale
        model.site_pos[self._sites] *= scale
        model.geom_friction[g] *= chosen.friction
        model.dof_damping[self._dofs] *= chosen.damping
        if self._task.environment in LYING:
            model.body_pos[b, 2] *= scale
        mujoco.mj_setConst(model, self._data)

    def _check(self, chosen: ObjectVariation) -> None:
        known = replace(chosen, stiffness=1.0, lobes=None)
        if chosen != known:
            raise BadConfig(
                f"{self._task.name} has no springs and no lobes; vary object.scale, object.mass, "
                "object.friction or object.damping"
            )
        if chosen.scale != 1.0 and self._task.environment in ONE_SIZE:
            raise BadConfig(f"the object of {self._task.name} keeps its size; vary object.mass, "
                            "object.friction or object.damping")  # fmt: skip
