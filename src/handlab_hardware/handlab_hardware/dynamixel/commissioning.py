"""Commissioning of a new station: find its port and servos, give them ids, write its file.

A new servo has id 1 at 57600 baud (e-manual, ID and Baud Rate). Two servos with one id destroy each
other's answers, so servos are plugged in one after another.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from handlab_core.errors import BadConfig, StationFault
from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.system.files import dump_yaml, write_atomically
from handlab_hardware.dynamixel.arming import LEAST_FIRMWARE
from handlab_hardware.dynamixel.failures import OPENING_RETRIES
from handlab_hardware.dynamixel.inspection import NUMBERS, model_name
from handlab_hardware.dynamixel.protocol.bus import Identity, ServoBus
from handlab_hardware.dynamixel.protocol.models import MODELS
from handlab_hardware.dynamixel.protocol.registers import BAUD_RATES
from handlab_hardware.dynamixel.protocol.serial_port import adapters
from handlab_hardware.station_file import (
    DEFAULT_BAUD,
    DynamixelSection,
    StationFile,
    load_station,
    station_path,
)

FACTORY_BAUD = 57_600
"""bit/s; speed of a new servo; e-manual, Baud Rate."""

FASTEST = 4_000_000
"""bit/s; highest speed that Linux has a name for, and therefore the vendor's SDK."""

SPEEDS = (
    DEFAULT_BAUD,
    FACTORY_BAUD,
    *(baud for baud in BAUD_RATES if baud <= FASTEST and baud not in (DEFAULT_BAUD, FACTORY_BAUD)),
)
"""bit/s; all speeds, in the order in which they are tried."""

FIRST_ID = 10
"""Id of the first servo of a hand without a station file; chosen: new servos have id 1."""

CALIBRATION = ".calibration.yaml"
"""Suffix of the calibration file beside a station file."""


@dataclass(frozen=True, slots=True)
class Found:
    """One servo on a bus."""

    id: int
    baud: int  # bit/s
    identity: Identity

    @property
    def model(self) -> str:
        """Return the name of the model."""
        return model_name(self.identity.model_number)

    @property
    def warning(self) -> str:
        """Return what stands in the way of the driver; empty: nothing."""
        if self.identity.model_number not in NUMBERS:
            return f"is of an unknown kind, {self.model}: only {', '.join(MODELS)} can be driven"
        if self.identity.firmware < LEAST_FIRMWARE:
            return (
                f"has the firmware {self.identity.firmware}, older than {LEAST_FIRMWARE}: update "
                "it with the vendor's DYNAMIXEL Wizard"
            )
        return ""

    @property
    def remark(self) -> str:
        """Return what could be better; empty: nothing."""
        name = NUMBERS.get(self.identity.model_number)
        fast = MODELS[name].fast_sync_read_firmware if name else 0
        if self.identity.firmware < fast:
            return f"has no fast reads: its firmware {self.identity.firmware} is below {fast}"
        return ""


def choose_port(given: str, found: Iterable[str] | None = None) -> str:
    """Return the only serial adapter, or the one that the user has given.

    Args:
        given: path; empty: search.
        found: paths of the adapters that are there; None: those of this machine.

    Raises:
        StationFault: there is none.
        BadConfig: there are several.
    """
    if given:
        return given
    paths = adapters() if found is None else list(found)
    devices: dict[str, str] = {}
    for path in paths:  # one adapter has several names, and the first of them stays the same
        devices.setdefault(str(Path(path).resolve()), path)
    if not devices:
        raise StationFault("no serial adapter is there: plug it in, and switch the servos on")
    if len(devices) > 1:
        raise BadConfig(f"several serial adapters are there: name one with --port: {paths}")
    return next(iter(devices.values()))


def scan(port: str, speeds: Iterable[int] = SPEEDS, everything: bool = False) -> list[Found]:
    """Find the servos on a port.

    Args:
        port: path of the adapter.
        speeds: bit/s; tried in this order.
        everything: try all speeds; False: end at the first one with a servo.

    Raises:
        StationFault: the port cannot be opened.
    """
    found: list[Found] = []
    for baud in speeds:
        bus = ServoBus(port, baud)
        try:
            found += [Found(id, baud, identity) for id, identity in bus.scan().items()]
        finally:
            bus.close()
        if found and not everything:
            break
    return found


def give_id(port: str, servo: Found, id: int, baud: int = DEFAULT_BAUD) -> None:
    """Give a servo its id and speed, and check that it answers there.

    Raises:
        StationFault: the servo does not answer, or refuses.
    """
    bus = ServoBus(port, servo.baud)
    try:
        bus.write(servo.id, "torque_enable", 0, OPENING_RETRIES)  # which locks the EEPROM
        if servo.id != id:
            bus.write(servo.id, "id", id, OPENING_RETRIES)
        if servo.baud != baud:
            bus.write(id, "baud_rate", BAUD_RATES[baud], OPENING_RETRIES)
    finally:
        bus.close()
    bus = ServoBus(port, baud)
    try:
        bus.ping(id, OPENING_RETRIES)
    finally:
        bus.close()


def wanted_ids(hand: str, fixture: str) -> dict[str, int]:
    """Return the id of each joint's servo: those of handlab's station file, or consecutive ones."""
    names = [*make_hand(hand).joints, FIXTURES.make(fixture).joint]
    section = _template(hand)
    if section is not None:
        known = {servo.joint: servo.id for servo in section.servos}
        if set(names) <= set(known):
            return {name: known[name] for name in names}
    return {name: FIRST_ID + number for number, name in enumerate(names)}


def write_station(
    path: Path,
    hand: str,
    fixture: str,
    port: str,
    models: Mapping[str, tuple[int, str]],
    overwrite: bool = False,
    baud: int = DEFAULT_BAUD,
) -> StationFile:
    """Write a station file, and read it as a driver does.

    Args:
        path: file.
        hand: name of the hand.
        fixture: name of the fixture.
        port: path of the adapter.
        models: joint to the id and the model of its servo.
        overwrite: replace an existing file.
        baud: bit/s; speed of the servos.

    Raises:
        BadConfig: the file exists, or a value is not allowed.
    """
    if path.exists() and not overwrite:
        raise BadConfig(f"{path} exists; choose another file with --output, or add --overwrite")
    section = _template(hand)
    known = {servo.joint: servo for servo in section.servos} if section is not None else {}
    servos = {}
    for joint, (id, model) in models.items():
        zero = known[joint].zero if joint in known else math.pi
        direction = known[joint].direction if joint in known else 1
        servos[joint] = {"id": id, "model": model, "zero": round(zero, 6), "direction": direction}
    facts = {
        "hand": hand,
        "fixture": fixture,
        "dynamixel": {
            "port": port,
            "baud": baud,
            "mode": "position",
            "calibration": path.stem + CALIBRATION,
            "servos": servos,
        },
    }
    head = "# Facts of one machine, written by `./handlab setup dynamixel`: edit them freely.\n"
    write_atomically(path, head + dump_yaml(facts))
    return load_station(path, nominal=True)


def _template(hand: str) -> DynamixelSection | None:
    """Return the servos of handlab's own station file of a hand, if it has one."""
    path = station_path(hand)
    return load_station(path, nominal=True).dynamixel if path.exists() else None
