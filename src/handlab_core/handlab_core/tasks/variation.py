"""Variations of a task: quantities, and the values that they take.

Training draws a value for every episode; evaluation uses points of a range:

    object.scale=0.8:1.2     uniformly distributed between two ends
    object.lobes=2,3,4       one value of a list
    goal.angle=1.57          constant
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.tasks.learnable import LearnableTask
from handlab_core.tasks.task import Range, Task, episode_rng

VARIATION_STREAM = 16
"""Number of the first random stream of variations; the task's own streams are numbered from
zero."""

COMMON_STREAMS, COMMON_STREAM, MOST_QUANTITIES = 9, 15, 256
"""Quantities from COMMON_STREAMS on share one random stream, in which each has its place."""


@dataclass(frozen=True)
class Quantity:
    """Quantity that can be varied."""

    what: str
    lower: float
    upper: float
    stream: int
    """Number of the random stream, or of its place in the common one; never reused."""
    whole: bool = False
    """Whether only whole numbers are allowed."""


OBJECT, RANGES = "object.", ("start.", "goal.")
"""Prefixes of the quantities of the object, and of the ranges of the task. All others are of the
world: servos, contacts, bodies, the wire and the sensors."""

FACTOR = 100.0
"""Largest factor, and inverse of the smallest, of a quantity in the same task."""

QUANTITIES: Mapping[str, Quantity] = {
    "object.scale": Quantity("size of the object, times its own; its density stays", 0.25, 4.0, 6),
    "object.mass": Quantity(
        "mass and inertia of the object, times their own", 1 / FACTOR, FACTOR, 5
    ),
    "object.friction": Quantity("friction of the object's surface, times its own", 0.0, FACTOR, 3),
    "object.damping": Quantity("damping of the object's axis, times its own", 0.0, FACTOR, 2),
    "object.stiffness": Quantity("of a soft object, times its own", 1 / FACTOR, FACTOR, 7),
    "object.lobes": Quantity("number of lobes", 2, 8, 4, whole=True),
    "goal.angle": Quantity("rad", -2 * math.pi, 2 * math.pi, 0),
    "goal.velocity": Quantity("rad/s", -2.0, 2.0, 1),
    "start.angle": Quantity("rad, of the object", -math.pi, math.pi, 8),
    "servo.gain": Quantity("position gain of the servos, times their own", 0.05, 20.0, 9),
    "servo.damping": Quantity("damping of engaged joints, times their own", 0.05, 20.0, 10),
    "servo.friction": Quantity("N m, dry friction of each joint, added", 0.0, 1.0, 11),
    "servo.armature": Quantity("reflected inertia, times its own", 0.05, 20.0, 12),
    "servo.torque": Quantity("largest torque of the servos, times their own", 0.01, 4.0, 13),
    "servo.supply": Quantity("supply voltage, fraction of the nominal one", 0.5, 1.4, 14),
    "servo.backlash": Quantity("rad, play of the gears, end to end, added", 0.0, 0.2, 15),
    "servo.delay": Quantity("s, from a command to the motion, added", 0.0, 0.09, 16),
    "servo.ticks": Quantity("encoder steps per turn; 0: continuous", 0, 2**20, 17, whole=True),
    "servo.zero": Quantity("rad, largest error of each encoder's zero", 0.0, 0.3, 18),
    "servo.spread": Quantity(
        "largest relative difference of each joint's gain, damping, friction and armature from "
        "those of the hand", 0.0, 0.9, 19
    ),
    "contact.friction": Quantity("sliding friction of all surfaces, times their own", 0.0, 100, 20),
    "contact.torsion": Quantity("torsional friction of all surfaces, times their own", 0, 100, 21),
    "contact.rolling": Quantity("rolling friction of all surfaces, times their own", 0, 100, 22),
    "hand.mass": Quantity("mass and inertia of the hand, times their own", 0.1, 10.0, 23),
    "mount.x": Quantity("m, displacement of the hand", -0.05, 0.05, 24),
    "mount.y": Quantity("m, displacement of the hand", -0.05, 0.05, 25),
    "mount.z": Quantity("m, displacement of the hand", -0.05, 0.05, 26),
    "wire.latency": Quantity("s, age of the measurements, added", 0.0, 0.09, 27),
    "wire.jitter": Quantity("s, largest further delay, drawn for each command", 0.0, 0.05, 28),
    "wire.loss": Quantity("fraction of commands and of measurements that are lost", 0.0, 0.9, 29),
    "sensor.noise": Quantity("noise of joint angles, fraction of the range, end to end", 0, 1, 30),
    "sensor.object": Quantity("rad, noise of the object's angle, end to end", 0.0, 1.0, 31),
}  # fmt: skip
"""Quantities by name; the bounds enclose useful values."""


@dataclass(frozen=True)
class ObjectVariation:
    """Changes of the task's object; factors multiply its own values."""

    scale: float = 1.0
    mass: float = 1.0
    friction: float = 1.0
    damping: float = 1.0
    stiffness: float = 1.0
    lobes: int | None = None
    """Number of lobes; None: unchanged."""


@dataclass(frozen=True)
class Variation:
    """One quantity with a list of values, or with a range."""

    name: str
    values: tuple[float, ...]
    """Values of a list; for a range: (lower, upper)."""
    span: bool = False

    def __post_init__(self) -> None:
        """Check name and values."""
        if self.name not in QUANTITIES:
            raise UnknownName("quantity to vary", self.name, QUANTITIES)
        known, given = QUANTITIES[self.name], ", ".join(f"{value:g}" for value in self.values)
        allowed = f"{known.lower:g} to {known.upper:g}" + (", whole numbers" if known.whole else "")
        possible = all(known.lower <= value <= known.upper for value in self.values)
        if not possible or (known.whole and any(value % 1 for value in self.values)):
            raise BadConfig(f"{self.name} can be {allowed} ({known.what}), not {given}")
        if self.span and self.values[0] > self.values[1]:
            raise BadConfig(f"{self.name}: a range begins at its lower end, not {given}")

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are allowed."""
        return QUANTITIES[self.name].whole

    def points(self, count: int) -> tuple[float, ...]:
        """Return the values for an evaluation: `count` points of a range, or the whole list."""
        if not self.span:
            return self.values
        lower, upper = self.values
        if self.whole:
            return tuple(float(value) for value in range(int(lower), int(upper) + 1))
        return tuple(np.linspace(lower, upper, max(2, count)).tolist())

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one value."""
        if self.span and not self.whole:
            return float(rng.uniform(self.values[0], self.values[1]))
        return float(rng.choice(self.points(0)))

    def at(self, part: float) -> float:
        """Return the value at a part of the range, or of the list, from 0 to below 1."""
        if self.span and not self.whole:
            return self.values[0] + part * (self.values[1] - self.values[0])
        points = self.points(0)
        return points[int(part * len(points))]

    def fixed(self, value: float) -> "Variation":
        """Return the same quantity with one value."""
        return Variation(self.name, (value,))


def parse_variation(text: str) -> Variation:
    """Read `name=value`, `name=lower:upper` or `name=value,value,...`.

    Raises:
        UnknownName: there is no such quantity; the message lists the quantities.
        BadConfig: the text has another form, or a value is not allowed.
    """
    name, equals, given = text.partition("=")
    parts = given.split(":") if ":" in given else given.split(",")
    if name not in QUANTITIES:
        raise UnknownName("quantity to vary", name, QUANTITIES)
    try:
        values = tuple(float(part) for part in parts)
    except ValueError:
        values = ()
    span = ":" in given
    if not equals or not values or (span and len(values) != 2) or not np.isfinite(values).all():
        raise BadConfig(
            f"{text!r} must be {name}=VALUE, {name}=LOWER:UPPER or {name}=VALUE,VALUE,..."
        )
    return Variation(name, values, span)


def parse_variations(texts: Sequence[str]) -> tuple[Variation, ...]:
    """Read several variations; raise BadConfig if two have the same quantity."""
    variations = tuple(parse_variation(text) for text in texts)
    names = [variation.name for variation in variations]
    for name in names:
        if names.count(name) > 1:
            raise BadConfig(f"{name} is varied twice; give one range or one list")
    return variations


def draw_all(variations: Sequence[Variation], seed: int, episode: int) -> dict[str, float]:
    """Return the values for one episode by name; they depend only on seed and episode.

    No quantity depends on which others are drawn.
    """
    drawn, parts = {}, None
    for variation in variations:
        stream = QUANTITIES[variation.name].stream
        if stream < COMMON_STREAMS:
            drawn[variation.name] = variation.draw(
                episode_rng(seed, episode, VARIATION_STREAM + stream)
            )
            continue
        if parts is None:  # making a generator takes longer than all draws
            parts = episode_rng(seed, episode, COMMON_STREAM).random(MOST_QUANTITIES).tolist()
        drawn[variation.name] = variation.at(parts[stream])
    return drawn


def object_of(values: Mapping[str, float]) -> ObjectVariation:
    """Return the changes of the object; other quantities are ignored."""
    chosen: dict[str, Any] = {
        name.removeprefix(OBJECT): int(value) if QUANTITIES[name].whole else value
        for name, value in values.items()
        if name.startswith(OBJECT)
    }
    return ObjectVariation(**chosen)


def check_variations(task: LearnableTask, variations: Sequence[Variation]) -> None:
    """Reject variations that the task does not support.

    Raises:
        BadConfig: only the object of the task varies, or a start or goal has a list of values.
    """
    others = [v for v in variations if not v.name.startswith(OBJECT)]
    if others and task.only_object_varies:
        raise BadConfig(f"of {task.name} only the object varies: object.mass and its kin")
    for variation in others:
        if variation.name.startswith(RANGES):
            _range(variation)


def vary_task(task: Task, variations: Sequence[Variation]) -> Task:
    """Return the task with other ranges of start and goal.

    Raises:
        BadConfig: a start or goal has a list of values; a task has ranges only.
    """
    ranges: dict[str, Any] = {}
    for variation in variations:
        if not variation.name.startswith(RANGES):
            continue
        field = variation.name.replace(".", "_")  # as goal_angle
        ranges[field] = _range(variation)
    return replace(task, **ranges)


def _range(variation: Variation) -> Range:
    """Return the range of a start or goal; raise BadConfig for a list of values."""
    if not variation.span and len(variation.values) > 1:
        raise BadConfig(f"{variation.name} needs one value or a range, not a list")
    return Range(variation.values[0], variation.values[-1])


def of_world(variations: Sequence[Variation]) -> tuple[Variation, ...]:
    """Return the variations of the object and of all else that a world is made of."""
    return tuple(v for v in variations if not v.name.startswith(RANGES))
