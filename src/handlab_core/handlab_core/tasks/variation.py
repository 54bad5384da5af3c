"""What can be varied of a task, as data.

For training a value is drawn for every episode, for evaluation there are points of a range:

    object.scale=0.8:1.2     evenly distributed between two ends
    object.lobes=2,3,4       one of a list
    goal.angle=1.57          always the same
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
"""Random stream of an episode, beside the task's own, which are numbered from zero."""


@dataclass(frozen=True)
class Quantity:
    """Something that can be varied."""

    what: str
    lower: float
    upper: float
    whole: bool = False
    """Whole numbers only."""


OBJECT = "object."

FACTOR = 100.0
"""Times more or less than which nothing is that is still the same task."""

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
"""By name; the bounds are of what is worth trying."""


@dataclass(frozen=True)
class ObjectVariation:
    """One object that is not quite the task's own; factors are times its own value."""

    scale: float = 1.0
    mass: float = 1.0
    friction: float = 1.0
    damping: float = 1.0
    stiffness: float = 1.0
    lobes: int | None = None
    """None: its own number."""


@dataclass(frozen=True)
class Variation:
    """One quantity and what it may be: a list of values, or anything between two ends."""

    name: str
    values: tuple[float, ...]
    """Of a span its two ends."""
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
        """Whether it takes whole numbers only."""
        return QUANTITIES[self.name].whole

    def points(self, count: int) -> tuple[float, ...]:
        """Values to evaluate at: of a span so many, with its ends; else all."""
        if not self.span:
            return self.values
        lower, upper = self.values
        if self.whole:
            return tuple(float(value) for value in range(int(lower), int(upper) + 1))
        return tuple(np.linspace(lower, upper, max(2, count)).tolist())

    def draw(self, rng: np.random.Generator) -> float:
        """One value."""
        if self.span and not self.whole:
            return float(rng.uniform(self.values[0], self.values[1]))
        return float(rng.choice(self.points(0)))

    def fixed(self, value: float) -> "Variation":
        """The same quantity with one value."""
        return Variation(self.name, (value,))


def parse_variation(text: str) -> Variation:
    """Read `name=value`, `name=lower:upper` or `name=value,value,...`.

    Raises:
        UnknownName: nothing of that name can be varied; the message lists what can.
        BadConfig: it is not of that form, or a value cannot be.
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
    """Read several; BadConfig if two are of one quantity."""
    variations = tuple(parse_variation(text) for text in texts)
    names = [variation.name for variation in variations]
    for name in names:
        if names.count(name) > 1:
            raise BadConfig(f"{name} is varied twice; give one range or one list")
    return variations


def draw_all(variations: Sequence[Variation], seed: int, episode: int) -> dict[str, float]:
    """Values for one episode, by name; they depend on nothing but seed and episode.

    Each quantity has random numbers of its own, so that varying another one changes none.
    """
    numbers = {name: i for i, name in enumerate(sorted(QUANTITIES))}
    return {
        variation.name: variation.draw(
            episode_rng(seed, episode, VARIATION_STREAM + numbers[variation.name])
        )
        for variation in variations
    }


def object_of(values: Mapping[str, float]) -> ObjectVariation:
    """The object of such values; names that are not of an object are left out."""
    chosen: dict[str, Any] = {
        name.removeprefix(OBJECT): int(value) if QUANTITIES[name].whole else value
        for name, value in values.items()
        if name.startswith(OBJECT)
    }
    return ObjectVariation(**chosen)


def check_variations(task: LearnableTask, variations: Sequence[Variation]) -> None:
    """Refuse variations that the task does not have.

    Raises:
        BadConfig: only the object of the task varies, or a start or goal has a list of values.
    """
    others = [v for v in variations if not v.name.startswith(OBJECT)]
    if others and task.only_object_varies:
        raise BadConfig(f"of {task.name} only the object varies: object.mass and its kin")
    for variation in others:
        _range(variation)


def vary_task(task: Task, variations: Sequence[Variation]) -> Task:
    """The task with other ranges of start and goal.

    Raises:
        BadConfig: there is a list of more than one start or goal; a task has ranges only.
    """
    ranges: dict[str, Any] = {}
    for variation in variations:
        if variation.name.startswith(OBJECT):
            continue
        field = variation.name.replace(".", "_")  # as goal_angle
        ranges[field] = _range(variation)
    return replace(task, **ranges)


def _range(variation: Variation) -> Range:
    """Return the range of a start or goal; BadConfig if there is a list of values."""
    if not variation.span and len(variation.values) > 1:
        raise BadConfig(f"{variation.name} needs one value or a range, not a list")
    return Range(variation.values[0], variation.values[-1])


def of_object(variations: Sequence[Variation]) -> tuple[Variation, ...]:
    """Those that need another object."""
    return tuple(v for v in variations if v.name.startswith(OBJECT))
