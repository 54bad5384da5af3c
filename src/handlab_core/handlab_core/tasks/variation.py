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


@dataclass(frozen=True)
class Quantity:
    """Quantity that can be varied."""

    what: str
    lower: float
    upper: float
    whole: bool = False
    """Whether only whole numbers are allowed."""


OBJECT = "object."

FACTOR = 100.0
"""Largest factor, and inverse of the smallest, of a quantity in the same task."""

QUANTITIES: Mapping[str, Quantity] = {
    "object.scale": Quantity("size of the object, times its own; its density stays", 0.25, 4.0),
    "object.mass": Quantity("mass and inertia of the object, times its own", 1 / FACTOR, FACTOR),
    "object.friction": Quantity("friction of the object's surface, times its own", 0.0, FACTOR),
    "object.damping": Quantity("damping of the object's axis, times its own", 0.0, FACTOR),
    "object.stiffness": Quantity("of a soft object, times its own", 1 / FACTOR, FACTOR),
    "object.lobes": Quantity("number of lobes", 2, 8, whole=True),
    "goal.angle": Quantity("rad", -2 * math.pi, 2 * math.pi),
    "goal.velocity": Quantity("rad/s", -2.0, 2.0),
    "start.angle": Quantity("rad, of the object", -math.pi, math.pi),
}
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

    Each quantity has its own random stream, independent of the other quantities.
    """
    numbers = {name: i for i, name in enumerate(sorted(QUANTITIES))}
    return {
        variation.name: variation.draw(
            episode_rng(seed, episode, VARIATION_STREAM + numbers[variation.name])
        )
        for variation in variations
    }


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
        _range(variation)


def vary_task(task: Task, variations: Sequence[Variation]) -> Task:
    """Return the task with other ranges of start and goal.

    Raises:
        BadConfig: a start or goal has a list of values; a task has ranges only.
    """
    ranges: dict[str, Any] = {}
    for variation in variations:
        if variation.name.startswith(OBJECT):
            continue
        field = variation.name.replace(".", "_")  # as goal_angle
        ranges[field] = _range(variation)
    return replace(task, **ranges)


def _range(variation: Variation) -> Range:
    """Return the range of a start or goal; raise BadConfig for a list of values."""
    if not variation.span and len(variation.values) > 1:
        raise BadConfig(f"{variation.name} needs one value or a range, not a list")
    return Range(variation.values[0], variation.values[-1])


def of_object(variations: Sequence[Variation]) -> tuple[Variation, ...]:
    """Return the variations of the object."""
    return tuple(v for v in variations if v.name.startswith(OBJECT))
