"""Models of varied worlds: shapes are compiled once each, numbers are set in the compiled model."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import mujoco
import numpy as np
from mujoco.batch import Batch

from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture, xacro_arguments
from handlab_core.tasks.variation import ObjectVariation
from handlab_core.types import Array, IntArray
from handlab_core.worlds.world import World
from handlab_sim.scene import CREEP, FRICTION, SceneConfig, build_spec

LONGEST_DELAY = 0.1
"""s; longest delay of a command; a control period. A delay is linear between steps of the
simulation, and below one step it is one."""

NUMBERS = (
    "actuator_biasprm", "actuator_forcerange", "actuator_gainprm", "body_inertia", "body_mass",
    "body_pos", "dof_armature", "dof_damping", "geom_friction", "geom_priority", "jnt_stiffness",
)  # fmt: skip
"""Fields of a model that `Variant.set` writes."""

SHAPES = (
    "body_ipos", "body_iquat", "bvh_aabb", "geom_aabb", "geom_pos", "geom_quat", "geom_rbound",
    "geom_size", "dof_length",
)  # fmt: skip
"""Fields that differ between objects of other sizes."""


@dataclass(frozen=True)
class Shape:
    """The part of a world that has to be compiled."""

    scale: float = 1.0
    lobes: int | None = None
    delayed: bool = False  # whether commands are delayed
    rough: bool = False  # whether joints have dry friction

    @classmethod
    def of(cls, world: World) -> "Shape":
        """Return the shape of a world."""
        delayed = bool(world.servos.delay.any() or world.signals.jitter)
        rough = bool(world.servos.coulomb.any())
        return cls(world.object.scale, world.object.lobes, delayed, rough)


@dataclass
class Variant:
    """A compiled model whose numbers can be set to those of a world.

    Args:
        hand: with any servos; each world brings its own.
        fixture: fixture below the hand.
        config: simulation parameters.
        shape: shape of the world.
    """

    hand: Hand
    fixture: Fixture
    config: SceneConfig
    shape: Shape
    model: mujoco.MjModel = field(init=False)

    def __post_init__(self) -> None:
        """Compile the model."""
        config = replace(self.config, dry_friction=self.shape.rough)
        spec = build_spec(self.hand, shaped(self.fixture, self.shape), config)
        if self.shape.delayed:
            for actuator in spec.actuators[: self.hand.n]:
                actuator.nsample = round(LONGEST_DELAY / self.config.timestep) + 2
                actuator.interp = 1
        self.model = spec.compile()
        self._data = mujoco.MjData(self.model)
        self._own = {name: getattr(self.model, name).copy() for name in NUMBERS}
        joints = [self.model.joint(name) for name in self.hand.moving]
        air = self.hand.pneumatics
        self._owners = np.arange(self.hand.n) if air is None else np.array(air.owners)
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._actuators = np.array([self.model.actuator(name).id for name in self.hand.joints])
        self._rough = self._actuators[:0]
        if self.shape.rough or self.hand.servos.coulomb.any():
            names = [name + FRICTION for name in self.hand.joints]
            self._rough = np.array([self.model.actuator(name).id for name in names])
        axis = self.model.joint(self.fixture.joint)
        self._axis, body = axis.dofadr[0], int(axis.bodyid[0])
        self._object = self._below(body)
        root = self._root(int(joints[0].bodyid[0]), body)
        self._root_body, self._hand_bodies = root, self._below(root)
        touching = (self.model.geom_contype | self.model.geom_conaffinity) != 0
        self._surfaces = np.flatnonzero(touching)
        of_object = np.isin(self.model.geom_bodyid, self._object)
        self._object_surfaces = np.flatnonzero(touching & of_object)
        sprung = self.model.jnt_stiffness[:] != 0
        if sprung.ndim > 1:
            sprung = sprung.any(axis=1)
        self._springs = np.flatnonzero(sprung & np.isin(self.model.jnt_bodyid, self._object))

    def set(self, world: World) -> mujoco.MjModel:
        """Set the numbers of the model to those of a world of this shape, and return the model.

        Raises:
            BadConfig: the object has no springs that could vary.
        """
        for name, values in self.numbers([world]).items():
            getattr(self.model, name)[:] = values[0]
        mujoco.mj_setConst(self.model, self._data)
        return self.model

    def numbers(self, worlds: Sequence[World]) -> dict[str, Array]:
        """Return the fields NUMBERS of models of worlds, with one row for each world.

        Raises:
            BadConfig: the object has no springs that could vary.
        """
        values = {
            name: np.repeat(own[None], len(worlds), axis=0) for name, own in self._own.items()
        }
        servos = [world.servos for world in worlds]
        stiffness = np.array([servo.stiffness for servo in servos])
        gain, bias = values["actuator_gainprm"], values["actuator_biasprm"]
        gain[:, self._actuators, 0] = stiffness
        if self.hand.pneumatics is None:
            bias[:, self._actuators, 1] = -stiffness
            bias[:, self._actuators, 2] = -np.array([servo.braking for servo in servos])
        if len(self._rough):
            coulomb = np.array([servo.coulomb for servo in servos])
            bias[:, self._rough, 2] = -coulomb / CREEP
            values["actuator_forcerange"][:, self._rough, 0] = -coulomb
            values["actuator_forcerange"][:, self._rough, 1] = coulomb
        values["dof_damping"][:, self._dofs] = [servo.viscous[self._owners] for servo in servos]
        values["dof_armature"][:, self._dofs] = [servo.armature[self._owners] for servo in servos]
        values["dof_damping"][:, self._axis] *= [world.object.damping for world in worlds]
        for bodies, factors in (
            (self._hand_bodies, [world.hand_mass for world in worlds]),
            (self._object, [world.object.mass for world in worlds]),
        ):
            factor = np.array(factors)[:, None]
            values["body_mass"][:, bodies] *= factor
            values["body_inertia"][:, bodies] *= factor[:, :, None]
        values["body_pos"][:, self._root_body] += [world.mount for world in worlds]
        self._set_surfaces(worlds, values["geom_friction"], values["geom_priority"])
        springs = np.array([world.object.stiffness for world in worlds])
        if (springs != 1.0).any():
            if not len(self._springs):
                raise BadConfig(
                    f"object.stiffness cannot be varied for {self.fixture.name}, which is rigid"
                )
            values["jnt_stiffness"][:, self._springs] *= springs[:, None]
        return values

    def _set_surfaces(self, worlds: Sequence[World], friction: Array, priority: Array) -> None:
        """Set the friction of all surfaces; a varied object's has priority over what touches it.

        Without priority, MuJoCo takes the larger friction of two geoms.
        """
        friction[:, self._surfaces] *= np.array([world.contact for world in worlds])[:, None]
        of_object = np.array([world.object.friction for world in worlds])
        friction[:, self._object_surfaces] *= of_object[:, None, None]
        rows = np.ix_(of_object != 1.0, self._object_surfaces)
        priority[rows] = np.maximum(priority[rows], 1)

    def _below(self, body: int) -> IntArray:
        """Return a body and all bodies that hang on it."""
        inside = {body}
        for other in range(body + 1, self.model.nbody):  # parents come first
            if int(self.model.body_parentid[other]) in inside:
                inside.add(other)
        return np.array(sorted(inside))

    def _root(self, body: int, other: int) -> int:
        """Return the outermost ancestor of `body` that is not one of `other`."""
        theirs = {0}
        while other:
            theirs.add(other)
            other = int(self.model.body_parentid[other])
        while int(self.model.body_parentid[body]) not in theirs:
            body = int(self.model.body_parentid[body])
        return body


class WorldFields:
    """Numbers of N worlds in one batch; only those that differ from the base take memory.

    Args:
        variants: compiles the models of a shape; see `make_variants`.
        worlds: parameters of each world, all of the same structure.

    Raises:
        BadConfig: the worlds differ in structure, as objects with other numbers of lobes do.
    """

    def __init__(self, variants: Callable[[Shape], Variant], worlds: Sequence[World]) -> None:
        shapes = [Shape.of(world) for world in worlds]
        self.delayed = any(shape.delayed for shape in shapes)
        self.rough = any(shape.rough for shape in shapes)
        if any(shape.lobes != shapes[0].lobes for shape in shapes):
            raise BadConfig("objects side by side must have the same number of lobes")
        self._variants, self._base = variants, self._shape(worlds[0])
        self.model = copy.copy(variants(self._base).set(worlds[0]))
        self._fields: dict[str, Array] = {}

    def takes(self, worlds: Sequence[World]) -> bool:
        """Return whether worlds have the structure of these."""
        shapes = [Shape.of(world) for world in worlds]
        return all(
            shape.lobes == self._base.lobes
            and (self.delayed or not shape.delayed)
            and (self.rough or not shape.rough)
            for shape in shapes
        )

    def set(self, batch: Batch, worlds: Sequence[World]) -> None:
        """Set the numbers of all worlds of a batch of `model`."""
        rows_of: dict[Shape, list[int]] = {}
        for row, world in enumerate(worlds):
            rows_of.setdefault(self._shape(world), []).append(row)
        for shape, rows in rows_of.items():
            variant = self._variants(shape)
            for name, values in variant.numbers([worlds[row] for row in rows]).items():
                self._set(batch, rows, name, values)
            for name in SHAPES:
                if shape != self._base or name in self._fields:
                    self._set(batch, rows, name, getattr(variant.model, name)[None])
        batch.set_const()  # computes what follows from the rest

    def _set(self, batch: Batch, rows: Sequence[int], name: str, values: Array) -> None:
        if name not in self._fields:
            if (values == getattr(self.model, name)).all():
                return
            self._fields[name] = batch.expand(name)
        own = self._fields[name]
        own[rows] = values[:, : own.shape[1]]  # a batch holds only the bodies' bounding volumes

    def _shape(self, world: World) -> Shape:
        return replace(Shape.of(world), delayed=self.delayed, rough=self.rough)


def make_variants(hand: Hand, fixture: Fixture, config: SceneConfig) -> Callable[[Shape], Variant]:
    """Return a function that compiles the model of a shape, once each."""

    @lru_cache(maxsize=64)
    def variant(shape: Shape) -> Variant:
        return Variant(hand, fixture, config, shape)

    return variant


def varied_model(
    hand: Hand, fixture: Fixture, config: SceneConfig, variation: ObjectVariation
) -> mujoco.MjModel:
    """Build the model of one station with a varied object.

    Raises:
        BadConfig: the object has no such variation; the message gives the reason.
    """
    world = World(hand.servos, variation)
    return Variant(hand, fixture, config, Shape.of(world)).set(world)


def shaped(fixture: Fixture, shape: Shape) -> Fixture:
    """Return the fixture with the xacro arguments of a shape.

    Raises:
        BadConfig: the fixture's xacro has no such argument.
    """
    wanted = {} if shape.scale == 1.0 else {"scale": repr(shape.scale)}
    if shape.lobes is not None:
        wanted["lobes"] = str(shape.lobes)
    known = xacro_arguments(fixture)
    for name in wanted:
        if name not in known:
            raise BadConfig(
                f"object.{name} cannot be varied for {fixture.name}: {fixture.urdf} has no "
                f"argument {name}, only {', '.join(known) or 'none'}"
            )
    if "scale" in wanted and "scale" in fixture.arguments:
        wanted["scale"] = repr(shape.scale * float(fixture.arguments["scale"]))
    return replace(fixture, arguments={**fixture.arguments, **wanted})
