"""Zero calibration: measure servo angles while a person or a jig holds all joints at zero.

Only this module writes the calibration file, which lies beside the station file.
"""

import math
from collections.abc import Mapping
from pathlib import Path

from handlab_core.errors import BadConfig, StationFault
from handlab_core.system.files import dump_yaml, write_atomically
from handlab_hardware.dynamixel.failures import PacketLost
from handlab_hardware.dynamixel.protocol.bus import ServoBus
from handlab_hardware.dynamixel.protocol.registers import RAD_PER_TICK, TICKS_PER_TURN
from handlab_hardware.station_file import DynamixelSection, StationFile, is_emulated

FAR = math.radians(20.0)
"""rad; largest deviation from the nominal zero that play and an unsteady hold explain; chosen.

A larger deviation means another pose, a horn mounted with an offset, or an exchanged id."""

HEAD = """\
# Zeros of the servos, measured with every joint held at zero: the servo's angle [rad].
# Written by `calibrate`; delete this file, or calibrate again, to change it.
"""


def measure_zeros(section: DynamixelSection, allow_far: bool = False) -> dict[str, float]:
    """Turn torque off and read the servo angles.

    Args:
        section: servos with their nominal zeros.
        allow_far: accept zeros that deviate by more than FAR from the nominal ones.

    Returns:
        Joint name to servo angle, rad, within one turn.

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
    """Write a calibration file atomically.

    Raises:
        BadConfig: the file exists and `overwrite` is false.
    """
    if path.exists() and not overwrite:
        raise BadConfig(f"{path} exists; delete it, or allow it to be overwritten")
    rounded = {joint: round(zero, 6) for joint, zero in zeros.items()}
    write_atomically(path, HEAD + dump_yaml({"zeros": rounded}))


def calibrate(station: StationFile, overwrite: bool = False, allow_far: bool = False) -> Path:
    """Measure the zeros of a station's servos and write its calibration file.

    Args:
        station: station with its nominal zeros, `load_station(path, nominal=True)`.
        overwrite: replace an existing calibration file.
        allow_far: accept zeros that deviate by more than FAR from the nominal ones.

    Returns:
        Path of the calibration file.

    Raises:
        BadConfig: the station names no calibration file, or the file exists.
        StationFault: see `measure_zeros`.
    """
    section = station.dynamixel
    if section is not None and section.calibration is None and is_emulated(section.port):
        raise BadConfig(
            f"{section.port} is an emulated hand without a link: start the emulator with a link, "
            "and name the link as the driver's port; the calibration is kept beside the link"
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
