"""The place of a hand at the bench: its description, its station file and its port."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from handlab_core.errors import BadConfig, StationFault
from handlab_core.hands import Hand, make_hand
from handlab_core.hardware.backend_table import BackendSpec, backend_spec
from handlab_core.objects.fixture import FIXTURES, Fixture
from handlab_core.options import EMULATED, MachineOptions
from handlab_hardware.station_file import StationFile, load_station, station_path

SERVOS, CAN_HAND = "dynamixel", "allegro"
"""Names of the backends that a station file can describe."""


@dataclass(frozen=True)
class Place:
    """One hand with real or emulated motors, and where it is.

    Attributes:
        hand: description of the hand.
        fixture: description of the object's joint.
        hardware: name of the backend that drives the hand.
        station: station file.
        port: port that replaces the file's; empty: the file's.
    """

    hand: Hand
    fixture: Fixture
    hardware: str
    station: StationFile
    port: str = ""

    @property
    def spec(self) -> BackendSpec:
        """Return the capabilities of the backend."""
        return backend_spec(self.hardware)

    @property
    def shown_port(self) -> str:
        """Return the port of the hand, for people."""
        section = self.station.dynamixel
        if self.hardware == SERVOS and section is not None:
            return section.port
        facts = self.station.allegro or {}
        return self.port or f"{facts.get('interface', 'socketcan')}:{facts.get('channel', '')}"


def find_place(hand: str, options: MachineOptions) -> Place:
    """Read the station file of a hand.

    Args:
        hand: name of the hand.
        options: station file and port.

    Raises:
        BadConfig: the file describes no motors, or another hand.
    """
    chosen = make_hand(hand)
    path = Path(options.station) if options.station else station_path(hand)
    station = load_station(path, port=options.port)
    if station.hand != chosen.name:
        raise BadConfig(
            f"{path} is for the hand {station.hand}, not for {hand}: choose another file by "
            f"--station, or the hand {station.hand}"
        )
    hardware = SERVOS if station.allegro is None else CAN_HAND
    if hardware == SERVOS and station.dynamixel is None:
        raise BadConfig(f"{path} names no motors: it has no section `dynamixel` or `allegro`")
    return Place(chosen, FIXTURES.make(station.fixture), hardware, station, options.port)


@contextmanager
def emulated_if_asked(hand: str, options: MachineOptions) -> Iterator[MachineOptions]:
    """Emulate the motors of a hand in another process, if the port says so.

    Yields:
        The options, with the port of the emulated motors.

    Raises:
        StationFault: the emulator does not start.
    """
    if options.port != EMULATED:
        yield options
        return
    with tempfile.TemporaryDirectory(prefix="handlab-") as folder:
        place = find_place(hand, MachineOptions(station=options.station))
        port = f"{folder}/port"
        if place.spec.port == "can":
            raise BadConfig("an emulated Allegro hand needs `./handlab emulate allegro` beside it")
        words = [sys.executable, "-m", "handlab.cli", "emulate", place.hardware, "--port", port]
        words += ["--station", str(place.station.path)]
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as emulator:
            try:
                assert emulator.stdout is not None
                if not emulator.stdout.readline():
                    raise StationFault("the emulator of the motors did not start")
                yield MachineOptions(station=options.station, port=port)
            finally:
                emulator.terminate()
