"""Emulated motors in front of a MuJoCo world: the hand that needs no hand, down to the wire."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handlab.graph import GraphConfig, on_machine
from handlab.up import BackgroundGraph
from handlab_core.errors import BadConfig
from handlab_core.fixtures import FIXTURES
from handlab_core.hands import make_hand
from handlab_core.tasks import make_task
from handlab_hardware.dynamixel.emulator import EmulatedPort, EmulatorConfig, emulate
from handlab_hardware.dynamixel.emulator.loop import LoopConfig
from handlab_hardware.dynamixel.emulator.station import ServoJoint, StationPhysics
from handlab_hardware.station_file import load_station, station_path
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


@contextmanager
def emulated_graph(
    config: GraphConfig, folder: Path, station: Path | None = None, loop: LoopConfig | None = None
) -> Iterator[tuple[EmulatedPort, BackgroundGraph]]:
    """A graph on servos that are emulated in this process, which can look behind the wire.

    Args:
        config: for MuJoCo; it is given the hardware.
        folder: for port and log.
        station: path of the station file; None: the one that comes with handlab.
        loop: what the servos live in; None: its defaults.
    """
    hand = make_task(config.task).hand_name
    station, link = station or station_path(hand), folder / "port"
    config = on_machine(config, "dynamixel", str(station), str(link))
    with (
        emulate_dynamixel(station, link, loop=loop) as port,
        BackgroundGraph(config, folder / "nodes.log") as graph,
    ):
        yield port, graph


def serve(port: EmulatedPort) -> None:
    """Serve in the foreground until the process is asked to end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: port.stop())
    try:
        port.serve()
    finally:
        port.close()
