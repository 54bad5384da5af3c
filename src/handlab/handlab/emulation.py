"""Emulated motors in front of a MuJoCo world: the hand that needs no hand, down to the wire."""

import logging
import signal
from pathlib import Path

from handlab_core.errors import BadConfig
from handlab_core.fixtures import FIXTURES
from handlab_core.hands import make_hand
from handlab_hardware.dynamixel.emulator import EmulatedPort, EmulatorConfig, emulate
from handlab_hardware.dynamixel.emulator.loop import LoopConfig
from handlab_hardware.dynamixel.emulator.station import ServoJoint, StationPhysics
from handlab_hardware.station_file import load_station
from handlab_sim.worlds import Worlds

log = logging.getLogger(__name__)


def emulate_dynamixel(
    station: Path, port: Path, seed: int = 0, loop: LoopConfig | None = None
) -> EmulatedPort:
    """Emulate the servos of a station file; what they turn is a simulated hand and object.

    Args:
        station: path of the file; its servos, ids, zeros and directions are taken.
        port: a stable name for the pseudo-terminal; faults are taken beside it (docs/emulator.md).
        seed: of faults that are left to chance.
        loop: what the servos live in; None: its defaults.

    Raises:
        BadConfig: the file names no servos.
    """
    facts = load_station(station, nominal=True)
    if facts.dynamixel is None:
        raise BadConfig(f"{station} has no section `dynamixel`: there is nothing to emulate")
    hand, fixture = make_hand(facts.hand), FIXTURES.make(facts.fixture)
    servos = facts.dynamixel.servos
    joints = [
        ServoJoint(
            0 if servo.joint == fixture.joint else hand.index(servo.joint),
            servo.joint == fixture.joint,
            servo.zero,
            servo.direction,
        )
        for servo in servos
    ]
    physics = StationPhysics(Worlds(hand, fixture), joints, [servo.model for servo in servos])
    config = EmulatorConfig(
        ids=tuple(servo.id for servo in servos),
        models=tuple(servo.model.name for servo in servos),
        baud=facts.dynamixel.baud,
        link=port,
        seed=seed,
        loop=loop or LoopConfig(),
    )
    return emulate(config, physics)


def serve(port: EmulatedPort) -> None:
    """Serve in the foreground until the process is asked to end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: port.stop())
    try:
        port.serve()
    finally:
        port.close()
