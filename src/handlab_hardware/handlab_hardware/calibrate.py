"""Measure the servos' zeros while somebody, or a jig, holds every joint at zero.

The result is a file beside the station file, written once, and by nothing else.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import yaml

from handlab_core.errors import BadConfig, StationFault
from handlab_core.system.files import write_atomically
from handlab_hardware.dynamixel.bus import ServoBus
from handlab_hardware.dynamixel.failures import PacketLost
from handlab_hardware.dynamixel.registers import RAD_PER_TICK, TICKS_PER_TURN
from handlab_hardware.station_file import DynamixelSection, StationFile, is_emulated

FAR = math.radians(20.0)
"""rad, from the nominal zero: more than play and a hand that is not held still can explain. It is
another pose, a horn was mounted with an offset, or an id belongs to another joint."""

HEAD = """\
# Zeros of the servos, measured with every joint held at zero: the servo's angle [rad].
# Written by `calibrate`; delete this file, or calibrate again, to change it.
"""


def measure_zeros(section: DynamixelSection, allow_far: bool = False) -> dict[str, float]:
    """Read where the servos are, with their torque off: joint to angle [rad], within one turn.

    Args:
        section: the servos, with their nominal zeros.
        allow_far: take zeros that are more than FAR from the nominal ones.

    Raises:
        StationFault: the port cannot be opened, or servos are silent or far off; lists all.
    """
    bus = ServoBus(section.port, section.baud)
    zeros, wrong = {}, []
    try:
        for servo in section.servos:
            try:
                bus.write(servo.id, "torque_enable", 0)
                ticks = bus.read(servo.id, "present_position") % TICKS_PER_TURN
            except PacketLost:
                wrong.append(f"{servo} does not answer")
                continue
            zeros[servo.joint] = ticks * RAD_PER_TICK
            away = math.remainder(zeros[servo.joint] - servo.zero, 2 * math.pi)
            if abs(away) > FAR and not allow_far:
                wrong.append(f"{servo} is {math.degrees(away):.0f} degrees from its nominal zero")
    finally:
        bus.close()
    if wrong:
        raise StationFault(
            f"not calibrated: {'; '.join(wrong)}. Hold every joint at zero and check the cables, "
            "or allow zeros that are far off"
        )
    return zeros


def write_calibration(path: Path, zeros: Mapping[str, float], overwrite: bool = False) -> None:
    """Write a calibration file in one step.

    Raises:
        BadConfig: there is one, and it shall not be overwritten.
    """
    if path.exists() and not overwrite:
        raise BadConfig(f"{path} exists; delete it, or allow it to be overwritten")
    rounded = {joint: round(zero, 6) for joint, zero in zeros.items()}
    write_atomically(path, HEAD + yaml.safe_dump({"zeros": rounded}, sort_keys=False))


def calibrate(station: StationFile, overwrite: bool = False, allow_far: bool = False) -> Path:
    """Measure the zeros of a station's servos and write its calibration file.

    Args:
        station: loaded with its nominal zeros, `load_station(path, nominal=True)`.
        overwrite: replace a calibration that is there.
        allow_far: take zeros that are more than FAR from the nominal ones.

    Returns:
        The path of the calibration.

    Raises:
        BadConfig: the station names no calibration file, or it exists.
        StationFault: see `measure_zeros`.
    """
    section = station.dynamixel
    if section is not None and section.calibration is None and is_emulated(section.port):
        raise BadConfig(
            f"{section.port} is an emulated hand, whose calibration is kept beside the link that "
            "is its port: start the emulator with such a name, and give it to the driver"
        )
    if section is None or section.calibration is None or section.calibrated:
        raise BadConfig(
            f"{station.path}: section dynamixel must name a file under `calibration`, and be "
            "loaded with its nominal zeros"
        )
    if section.calibration.exists() and not overwrite:
        raise BadConfig(f"{section.calibration} exists; delete it, or allow it to be overwritten")
    write_calibration(section.calibration, measure_zeros(section, allow_far), overwrite)
    return section.calibration
