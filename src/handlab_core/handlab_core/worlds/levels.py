"""Levels of randomisation: the quantities of a task that every episode draws, with their ranges.

`none` draws nothing, `mild` covers hands of one kind, `full` covers hands that have never been
measured. `fitted` draws around the servos that `identify` has measured: their own differences are
known, so that only a rest of them varies, and everything else as in `full`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handlab_core.errors import UnknownName
from handlab_core.objects.fixture import BARE, xacro_arguments
from handlab_core.tasks.variation import OBJECT, RANGES, Variation, parse_variations

NONE, MILD, FULL, FITTED = "none", "mild", "full", "fitted"
LEVELS = (NONE, MILD, FULL, FITTED)

ROBEL = "robel/dclaw/turn.py, RandomDynamics @ 5b0fd37"


@dataclass(frozen=True, slots=True)
class Ranges:
    """Range of one quantity at each level, as text; empty: it keeps its value."""

    mild: str
    full: str
    fitted: str
    source: str


ROWS: Mapping[str, Ranges] = {
    "servo.gain": Ranges("0.75:1.25", "0.5:2", "", f"{ROBEL}: 1 to 3 N m/rad; upwards chosen"),
    "servo.damping": Ranges(
        "0.5:1.25", "0.25:1.5", "", f"{ROBEL}: 0.005 to 0.1 N m s/rad; the lower part chosen"
    ),
    "servo.friction": Ranges(
        "0.001:0.005", "0.001:0.03", "", f"{ROBEL}: 0.001 to 0.005 N m; upwards chosen"
    ),
    "servo.armature": Ranges("0.75:1.5", "0.5:2", "", "chosen; nobody publishes it"),
    "servo.torque": Ranges("0.9:1", "0.7:1", "0.7:1", "chosen; warm motors are weaker"),
    "servo.supply": Ranges(
        "0.95:1.05", "0.85:1.05", "0.95:1.05", "XM430-W210 e-manual: 10 to 14.8 V; chosen"
    ),
    "servo.backlash": Ranges("0:0.005", "0:0.01", "0:0.005", "chosen; 15 arcmin are 0.0044 rad"),
    "servo.delay": Ranges("0:0.01", "0:0.03", "", "chosen; a bus cycle at 100 Hz and the servo's"),
    "servo.ticks": Ranges("4096", "4096", "4096", "XM430-W210 e-manual"),
    "servo.zero": Ranges("0.01", "0.02", "0.01", "chosen; calibration by eye"),
    "servo.spread": Ranges("0.05", "0.15", "0.05", "chosen"),
    "contact.friction": Ranges(
        "0.8:1.2", "0.5:2", "0.5:2", f"{ROBEL}: 0.8 to 1.2; wider values chosen"
    ),
    "contact.torsion": Ranges("0.6:1.4", "0.6:1.4", "0.6:1.4", f"{ROBEL}: 0.003 to 0.007"),
    "contact.rolling": Ranges("0.5:1.5", "0.5:1.5", "0.5:1.5", f"{ROBEL}: 5e-5 to 1.5e-4"),
    "hand.mass": Ranges("0.95:1.05", "0.9:1.1", "0.95:1.05", "chosen; cables and screws"),
    "mount.x": Ranges("-0.003:0.003", "-0.01:0.01", "-0.01:0.01", f"{ROBEL}: 1 cm"),
    "mount.y": Ranges("-0.003:0.003", "-0.01:0.01", "-0.01:0.01", f"{ROBEL}: 1 cm"),
    "mount.z": Ranges("-0.003:0.003", "-0.005:0.005", "-0.005:0.005", f"{ROBEL}: 1 cm; chosen"),
    "wire.latency": Ranges("0:0.01", "0:0.02", "0:0.02", "chosen; a cycle at 100 Hz"),
    "wire.jitter": Ranges("0:0.005", "0:0.01", "0:0.01", "chosen; a cycle at 100 Hz"),
    "wire.loss": Ranges("0:0.005", "0:0.02", "0:0.02", "chosen"),
    "sensor.noise": Ranges("0:0.01", "0:0.05", "0:0.01", f"{ROBEL}: 5 % of the range"),
    "sensor.object": Ranges("0:0.02", "0:0.05", "0:0.05", "chosen"),
    "object.scale": Ranges("0.95,1,1.05", "0.9,0.95,1,1.05,1.1", "0.95,1,1.05", "chosen"),
    "object.mass": Ranges("0.8:1.25", "0.5:2", "0.5:2", "chosen"),
    "object.friction": Ranges("", "0.7:1.4", "0.7:1.4", "chosen; beside contact.friction"),
    "object.damping": Ranges("0.7:1.4", "0.5:2", "0.5:2", "chosen"),
    "object.stiffness": Ranges("0.8:1.25", "0.7:1.4", "0.7:1.4", "chosen; soft objects only"),
}
"""Ranges by quantity, and where they are from. A task's own `randomisation` replaces some."""


def level_of(task: Any, level: str) -> tuple[Variation, ...]:
    """Return the variations of a task at a level.

    Quantities that the task's object does not have are left out.

    Raises:
        UnknownName: there is no such level; the message lists the levels.
    """
    if level not in LEVELS:
        raise UnknownName("level of randomisation", level, LEVELS)
    if level == NONE:
        return ()
    rows = {name: getattr(ranges, level) for name, ranges in ROWS.items()}
    rows |= task.randomisation.get(level, {})
    texts = [f"{name}={text}" for name, text in rows.items() if text and _has(task, name)]
    return parse_variations(texts)


def with_level(task: Any, level: str, given: tuple[Variation, ...]) -> tuple[Variation, ...]:
    """Return the variations of a level, where those that are given by name take precedence."""
    named = {variation.name for variation in given}
    return (*(v for v in level_of(task, level) if v.name not in named), *given)


def _has(task: Any, name: str) -> bool:
    """Return whether a task has a quantity that can vary."""
    if task.only_object_varies:
        return name in ("object.mass", "object.friction", "object.damping")
    if name.startswith(RANGES) or not name.startswith((OBJECT, "sensor.object")):
        return not name.startswith(RANGES)
    fixture = task.fixture
    if fixture.name == BARE:
        return False
    if name == "object.stiffness":
        return fixture.softness is not None
    if name in ("object.scale", "object.lobes"):
        return name.removeprefix(OBJECT) in xacro_arguments(fixture)
    return True
