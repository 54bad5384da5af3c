"""Station file: the facts of one machine, in YAML: which servo moves which joint, on which port.

| key                     | value                                                              |
|-------------------------|--------------------------------------------------------------------|
| hand, fixture           | names, as in `handlab_core`; a station without object: `bare`      |
| dynamixel.port, .baud   | serial port of the adapter, and its speed in bits per second       |
| dynamixel.mode          | position, or current_based_position (which limits the torque)      |
| dynamixel.calibration   | optional: file beside this one with measured zeros; may be missing |
|                         | (an emulated hand has a file of its own, see `own_calibration`)    |
| dynamixel.gains         | optional: {p, i, d}, register values of the position loop          |
| dynamixel.servos        | joint to {id, model, zero [rad], direction, 1 or -1}, and gains    |
|                         | if they differ; without any a servo has those of power-on          |
| allegro                 | fields of `AllegroConfig`                                          |

The servos are those of the hand, of the fixture, or of both.
"""

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.system.files import read_yaml
from handlab_core.system.paths import share
from handlab_core.system.validation import Count, Index, Name, Number, Sign, build, checked
from handlab_core.worlds.fitted import SUFFIX, fitted_path
from handlab_hardware.allegro.config import AllegroConfig
from handlab_hardware.dynamixel.protocol.models import ServoModel, make_model
from handlab_hardware.dynamixel.protocol.registers import MAX_GAIN

Mode = Literal["position", "current_based_position"]
"""Operating mode of all servos."""
MODES: tuple[Mode, ...] = get_args(Mode)
POSITION, CURRENT_BASED_POSITION = MODES
DEFAULT_BAUD = 1_000_000
"""bit/s; speed of the claw's servos, as ROBEL sets them."""
MAX_ID = 252
"""Largest id of a servo; Protocol 2.0."""
OWN_CALIBRATION = ".emulated.calibration.yaml"
"""Suffix that turns the port of an emulated hand into the name of its calibration file."""
MAX_BAUD = 4_500_000
"""bit/s; fastest speed of a servo; XM430 e-manual, control table, Baud Rate."""


Zero = Annotated[Number, Field(ge=-4 * math.pi, le=4 * math.pi)]
"""rad; servo angle at the joint's zero, at most two turns from the encoder's zero."""


Gain = Annotated[Index, Field(le=MAX_GAIN)]


@checked
class Gains:
    """Gains of a servo's position loop; registers position_p_gain, _i_gain and _d_gain."""

    p: Gain
    i: Gain = 0
    d: Gain = 0


@checked
class _ServoFacts:
    """Entry of one servo in the file."""

    id: Annotated[Index, Field(le=MAX_ID)]
    model: Name
    zero: Zero
    direction: Sign = 1
    gains: Gains | None = None


@checked
class _DynamixelFacts:
    """Section `dynamixel` of the file."""

    port: Name
    servos: dict[Name, _ServoFacts]
    baud: Annotated[Count, Field(le=MAX_BAUD)] = DEFAULT_BAUD
    mode: Mode = "position"
    calibration: Name | None = None
    gains: Gains | None = None


@checked
class _StationFacts:
    """Content of the file; joints and servo models are checked later."""

    hand: Name
    fixture: Name
    dynamixel: _DynamixelFacts | None = None
    allegro: dict[Name, Any] | None = None

    def __post_init__(self) -> None:
        """Check the names and the section `allegro`."""
        make_hand(self.hand)
        FIXTURES.make(self.fixture)
        if self.allegro is not None:
            AllegroConfig.from_dict(self.allegro)


@checked
class _Calibration:
    """Content of a calibration file."""

    zeros: dict[Name, Zero]


@dataclass(frozen=True, slots=True)
class Servo:
    """One servo and the joint it moves."""

    joint: str
    id: int
    model: ServoModel
    zero: float  # rad; servo angle at the joint's zero
    direction: int = 1  # 1 or -1
    own_gains: Gains | None = None  # None: those of power-on

    @property
    def gains(self) -> Gains:
        """Gains of the position loop."""
        d, i, p = self.model.gains
        return self.own_gains or Gains(p, i, d)

    def __str__(self) -> str:
        return f"servo {self.id} ({self.joint})"


@dataclass(frozen=True, slots=True)
class DynamixelSection:
    """Servos on one serial adapter."""

    port: str
    servos: tuple[Servo, ...]
    baud: int = DEFAULT_BAUD
    mode: str = POSITION
    calibration: Path | None = None
    calibrated: bool = False
    """Whether the zeros come from the calibration file."""


@dataclass(frozen=True, slots=True)
class StationFile:
    """Facts of one machine."""

    path: Path
    hand: str
    fixture: str
    dynamixel: DynamixelSection | None = None
    allegro: Mapping[str, Any] | None = None


def station_path(name: str) -> Path:
    """Return the path of a station file of handlab, `config/hands/<name>.yaml`."""
    return share() / "config" / "hands" / f"{name}.yaml"


def is_emulated(port: str) -> bool:
    """Return whether a serial port is a pseudo-terminal, as the ports of emulated servos are."""
    return os.path.realpath(port).startswith("/dev/pts/")


def fitted_file(station: Path, port: str) -> Path:
    """Return the file of a hand's fitted servos; that of an emulated hand is beside its port.

    Args:
        station: path of the station file.
        port: of the servos; empty: not known.
    """
    return Path(port + SUFFIX) if is_emulated(port) else fitted_path(str(station))


def own_calibration(port: str) -> Path | None:
    """Return the calibration file of an emulated hand, which lies beside the link to its port.

    Return None without a link: the kernel reuses the names of pseudo-terminals.
    """
    path = Path(port)
    return path.with_name(path.name + OWN_CALIBRATION) if path.is_symlink() else None


def load_station(path: Path | str, nominal: bool = False, port: str = "") -> StationFile:
    """Read a station file, and its calibration file if that exists.

    An emulated hand has a calibration file of its own and never uses the real hand's.

    Args:
        path: path of the station file.
        nominal: ignore the calibration file.
        port: port that replaces the file's; empty: use the file's.

    Raises:
        BadConfig: a file cannot be read, a value is out of bounds, or a hand, fixture or servo
            model is unknown. All errors of ids and joints are listed at once.
    """
    path = Path(path)
    facts = build(_StationFacts, read_yaml(path), str(path))
    station = StationFile(path, facts.hand, facts.fixture, allegro=facts.allegro)
    groups = make_hand(facts.hand).joints, (FIXTURES.make(facts.fixture).joint,)
    if facts.dynamixel is None:
        return station
    section = _section(facts.dynamixel, path)
    _check_servos(section.servos, groups, path)
    section = replace(section, port=port or section.port)
    if section.calibration is not None and is_emulated(section.port):
        section = replace(section, calibration=own_calibration(section.port))
    return replace(station, dynamixel=section if nominal else _calibrated(section))


def _section(facts: _DynamixelFacts, path: Path) -> DynamixelSection:
    servos = tuple(_servo(j, servo, facts.gains, path) for j, servo in facts.servos.items())
    for servo in servos:
        if facts.mode == CURRENT_BASED_POSITION and servo.model.current_unit is None:
            raise BadConfig(
                f"{path}: {servo}: {servo.model.name} cannot do {facts.mode}; use {POSITION}"
            )
    calibration = None if facts.calibration is None else path.parent / facts.calibration
    return DynamixelSection(facts.port, servos, facts.baud, facts.mode, calibration)


def _servo(joint: str, facts: _ServoFacts, gains: Gains | None, path: Path) -> Servo:
    try:
        model = make_model(facts.model)
    except UnknownName as error:
        raise BadConfig(f"{path}: {joint}: {error}") from None
    return Servo(joint, facts.id, model, facts.zero, facts.direction, facts.gains or gains)


def _check_servos(servos: Iterable[Servo], groups: Iterable[tuple[str, ...]], path: Path) -> None:
    """Check that ids are unique, joints are known, and each group has all its servos or none."""
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
    """Return the section with the zeros of its calibration file, if that exists."""
    if section.calibration is None or not section.calibration.exists():
        return section
    path = section.calibration
    zeros = build(_Calibration, read_yaml(path), str(path)).zeros
    joints = {servo.joint for servo in section.servos}
    if set(zeros) != joints:
        raise BadConfig(
            f"{path} must give a zero for each of {', '.join(sorted(joints))}, and for no other "
            "joint; calibrate again"
        )
    servos = tuple(replace(servo, zero=zeros[servo.joint]) for servo in section.servos)
    return replace(section, servos=servos, calibrated=True)
