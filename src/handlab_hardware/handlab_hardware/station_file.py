"""The facts of one machine, from a YAML file: which servo moves which joint, on which port.

| key                     | what                                                               |
|-------------------------|--------------------------------------------------------------------|
| hand, fixture           | names, as in `handlab_core`                                        |
| dynamixel.port, .baud   | of the adapter                                                     |
| dynamixel.mode          | position, or current_based_position (which limits the torque)      |
| dynamixel.calibration   | optional: file beside this one with measured zeros; need not exist |
|                         | (an emulated hand has a file of its own, see `own_calibration`)    |
| dynamixel.servos        | joint to {id, model, zero [rad], direction, 1 or -1}               |
| allegro                 | for the Allegro's own class                                        |

The servos are those of the hand, of the fixture, or of both.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from handlab_core.errors import BadConfig
from handlab_core.fixtures import FIXTURES
from handlab_core.hands import make_hand
from handlab_core.paths import share
from handlab_hardware.dynamixel.models import ServoModel, make_model

POSITION, CURRENT_BASED_POSITION = "position", "current_based_position"
MODES = (POSITION, CURRENT_BASED_POSITION)
DEFAULT_BAUD = 1_000_000  # of the claw; ROBEL's servos are set to it
MAX_ID = 252  # Protocol 2.0
OWN_CALIBRATION = ".calibration.yaml"
"""Behind the name of an emulated hand's port: the name of its calibration file."""


@dataclass(frozen=True, slots=True)
class Servo:
    """One servo and the joint it moves."""

    joint: str
    id: int
    model: ServoModel
    zero: float  # rad, angle of the servo where the joint is at zero
    direction: int = 1  # 1 or -1

    def __str__(self) -> str:
        return f"servo {self.id} ({self.joint})"


@dataclass(frozen=True, slots=True)
class DynamixelSection:
    """The servos on one adapter."""

    port: str
    servos: tuple[Servo, ...]
    baud: int = DEFAULT_BAUD
    mode: str = POSITION
    calibration: Path | None = None
    calibrated: bool = False
    """The zeros come from the calibration file."""


@dataclass(frozen=True, slots=True)
class StationFile:
    """The facts of one machine."""

    path: Path
    hand: str
    fixture: str
    dynamixel: DynamixelSection | None = None
    allegro: Mapping[str, Any] | None = None


def station_path(name: str) -> Path:
    """Path of a station that comes with handlab, `config/hands/<name>.yaml`."""
    return share() / "config" / "hands" / f"{name}.yaml"


def is_emulated(port: str) -> bool:
    """Return whether a serial port is a pseudo-terminal, as those of emulated servos are."""
    return os.path.realpath(port).startswith("/dev/pts/")


def own_calibration(port: str) -> Path | None:
    """Return the calibration file of an emulated hand: beside the link that is its port.

    None without a link: the name of a pseudo-terminal is given to another one later.
    """
    path = Path(port)
    return path.with_name(path.name + OWN_CALIBRATION) if path.is_symlink() else None


def load_station(path: Path | str, nominal: bool = False, port: str = "") -> StationFile:
    """Read a station file, and its calibration if there is one.

    An emulated hand has a calibration of its own, so that neither it nor the real one is taken for
    the other.

    Args:
        path: of the file.
        nominal: leave the calibration aside.
        port: in the place of the file's; empty: that one.

    Raises:
        BadConfig: a file cannot be read, or a value cannot be; lists all that is wrong with ids
            and joints at once.
        UnknownName: there is no such hand, fixture or servo model.
    """
    path = Path(path)
    given = read_yaml(path)
    _check_keys(given, StationFile, path, without=("path",))
    hand, fixture = (_need(given, key, str, path) for key in ("hand", "fixture"))
    station = StationFile(path, hand, fixture, allegro=given.get("allegro"))
    groups = make_hand(hand).joints, (FIXTURES.make(fixture).joint,)
    if given.get("dynamixel") is None:
        return station
    section = _dynamixel(_need(given, "dynamixel", dict, path), path)
    _check_servos(section.servos, groups, path)
    section = replace(section, port=port or section.port)
    if section.calibration is not None and is_emulated(section.port):
        section = replace(section, calibration=own_calibration(section.port))
    return replace(station, dynamixel=section if nominal else _calibrated(section))


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; BadConfig if it does not."""
    try:
        given = yaml.safe_load(path.read_text())
    except OSError as error:
        raise BadConfig(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise BadConfig(f"{path} is not YAML: {error}") from error
    if not isinstance(given, dict):
        raise BadConfig(f"{path} must hold keys and values")
    return given


def _dynamixel(given: dict[str, Any], path: Path) -> DynamixelSection:
    _check_keys(given, DynamixelSection, path, without=("calibrated",))
    mode, baud = given.get("mode", POSITION), given.get("baud", DEFAULT_BAUD)
    if mode not in MODES:
        raise BadConfig(f"{path}: mode is {mode!r}; it can be {' or '.join(MODES)}")
    if not isinstance(baud, int) or baud <= 0:
        raise BadConfig(f"{path}: baud is {baud!r}; it must be a positive whole number")
    servos = tuple(
        _servo(str(joint), facts, path)
        for joint, facts in _need(given, "servos", dict, path).items()
    )
    for servo in servos:
        if mode == CURRENT_BASED_POSITION and servo.model.current_unit is None:
            raise BadConfig(f"{path}: {servo}: {servo.model.name} cannot do {mode}; use {POSITION}")
    name = given.get("calibration")
    calibration = None if name is None else path.parent / str(name)
    return DynamixelSection(_need(given, "port", str, path), servos, baud, mode, calibration)


def _servo(joint: str, given: Any, path: Path) -> Servo:
    if not isinstance(given, dict):
        raise BadConfig(f"{path}: {joint} must have id, model, zero and direction")
    _check_keys(given, Servo, path, without=("joint",), of=f" of {joint}")
    number = _need(given, "id", int, path, joint)
    if not 0 <= number <= MAX_ID:
        raise BadConfig(f"{path}: id of {joint} is {number}; it can be 0 to {MAX_ID}")
    direction = given.get("direction", 1)
    if direction not in (1, -1):
        raise BadConfig(f"{path}: direction of {joint} is {direction!r}; it can be 1 or -1")
    zero = _need(given, "zero", (int, float), path, joint)
    model = make_model(_need(given, "model", str, path, joint))
    return Servo(joint, number, model, float(zero), direction)


def _check_servos(servos: Iterable[Servo], groups: Iterable[tuple[str, ...]], path: Path) -> None:
    """Every id once, no strange joint, and groups that are served whole."""
    joints, wrong = {servo.joint for servo in servos}, []
    known = [joint for group in groups for joint in group]
    twice = [i for i, count in Counter(servo.id for servo in servos).items() if count > 1]
    if twice:
        wrong.append(f"ids given more than once: {', '.join(map(str, sorted(twice)))}")
    if strange := sorted(joints - set(known)):
        wrong.append(f"joints that neither hand nor fixture has: {', '.join(strange)}")
    missing = [j for group in groups if joints & set(group) for j in group if j not in joints]
    if missing:
        wrong.append(f"joints without a servo: {', '.join(missing)}")
    if not joints:
        wrong.append("no servos")
    if wrong:
        raise BadConfig(f"{path}: {'; '.join(wrong)}. The joints are: {', '.join(known)}")


def _calibrated(section: DynamixelSection) -> DynamixelSection:
    """The section with the zeros of its calibration file, if that has been written."""
    if section.calibration is None or not section.calibration.exists():
        return section
    path = section.calibration
    zeros = _need(read_yaml(path), "zeros", dict, path)
    joints = {servo.joint for servo in section.servos}
    if set(zeros) != joints or not all(isinstance(z, int | float) for z in zeros.values()):
        raise BadConfig(
            f"{path} must give a number for each of {', '.join(sorted(joints))}; calibrate anew"
        )
    servos = tuple(replace(servo, zero=float(zeros[servo.joint])) for servo in section.servos)
    return replace(section, servos=servos, calibrated=True)


def _need(given: Mapping[str, Any], key: str, kind: Any, path: Path, of: str = "") -> Any:
    """A value that must be there, of a kind."""
    value = given.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        where = f"{path}: {key} of {of}" if of else f"{path}: {key}"
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join(k.__name__ for k in kinds)
        raise BadConfig(f"{where} is {value!r}; it must be given, as {names}")
    return value


def _check_keys(
    given: Mapping[str, Any], kind: Any, path: Path, without: Iterable[str], of: str = ""
) -> None:
    known = [field.name for field in fields(kind) if field.name not in without]
    if unknown := sorted(map(str, set(given) - set(known))):
        raise BadConfig(
            f"{path}: unknown keys{of}: {', '.join(unknown)}; there is: {', '.join(known)}"
        )
