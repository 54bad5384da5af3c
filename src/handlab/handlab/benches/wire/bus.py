"""Cycles of nine emulated servos, write and read, beside the time their bytes need on the wire."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab_core.errors import StationFault
from handlab_core.hands import make_hand
from handlab_hardware.dynamixel.protocol.bus import ServoBus
from handlab_hardware.dynamixel.protocol.serial_port import BITS_PER_BYTE
from handlab_hardware.dynamixel.servos import MOTION
from handlab_hardware.station_file import load_station, station_path

BAUDS = (1_000_000, 3_000_000)
"""The first gives the value; both are in the details."""

ROUNDS = 5
CYCLES = 300
WARM_UP = 20

MS_PER_S = 1000.0
START_TIMEOUT = 20.0
"""s for an emulator to start."""


def measure(seed: int) -> Result:
    """Alternate between the bauds; each cycle is a sync write of goals and a fast sync read.

    The emulators are processes of their own. Nothing is left to chance; the seed does nothing.
    """
    joints = make_hand("claw").joints
    section = load_station(station_path("claw")).dynamixel
    assert section is not None
    ids = [servo.id for servo in section.servos if servo.joint in joints]
    ratios: dict[int, list[float]] = {baud: [] for baud in BAUDS}
    times: dict[int, list[float]] = {baud: [] for baud in BAUDS}
    retries = 0
    with ExitStack() as stack:
        buses = {baud: stack.enter_context(emulated_bus(ids, baud)) for baud in BAUDS}
        for bus in buses.values():
            _cycles(bus, ids, WARM_UP)
        for _ in range(ROUNDS):
            for baud, bus in buses.items():
                before = bus.traffic
                elapsed = statistics.median(_cycles(bus, ids, CYCLES))
                wire = (bus.traffic - before) / CYCLES * BITS_PER_BYTE / baud
                times[baud].append(elapsed)
                ratios[baud].append(elapsed / wire)
        retries = sum(bus.counts["retries"] for bus in buses.values())
    first = BAUDS[0]
    value, ratio = statistics.median(times[first]), statistics.median(ratios[first])
    details = {
        "servos": len(ids),
        "ratios": {str(baud): statistics.median(ratios[baud]) for baud in BAUDS},
        "cycle_ms": {str(baud): statistics.median(times[baud]) * MS_PER_S for baud in BAUDS},
        "rounds": {str(baud): ratios[baud] for baud in BAUDS},
        "retries": retries,
        "seed": seed,
    }
    return Result(value * MS_PER_S, value / ratio * MS_PER_S, "ms a cycle", details)


def _cycles(bus: ServoBus, ids: list[int], cycles: int) -> list[float]:
    """Return the duration [s] of each of some cycles, one right after the other."""
    times = []
    for k in range(cycles):
        began = time.perf_counter()
        bus.sync_write("goal_position", dict.fromkeys(ids, 2048 + k % 2))
        answers = bus.read_all(ids, *MOTION)
        times.append(time.perf_counter() - began)
        if len(answers) != len(ids):
            raise StationFault("the emulator lost packets; is this computer busy?")
    return times


@contextmanager
def emulated_bus(ids: list[int], baud: int) -> Iterator[ServoBus]:
    """Open a bus to an emulator in another process, with servos set up as in a station."""
    with tempfile.TemporaryDirectory(prefix="handlab-") as folder:
        port = Path(folder, "dynamixel")
        words = ["--ids", *map(str, ids), "--baud", str(baud), "--link", str(port)]
        process = subprocess.Popen(
            [sys.executable, "-m", "handlab_hardware.dynamixel.emulator", *words],
            stdout=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while not port.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise StationFault("the emulator did not start")
                time.sleep(0.01)
            bus = ServoBus(str(port), baud)
            try:
                for servo in ids:
                    bus.write(servo, "return_delay_time", 0)
                    bus.write(servo, "torque_enable", 1)
                bus.fast = True
                yield bus
            finally:
                bus.close()
        finally:
            process.terminate()
            process.wait()


def _cell(result: Kept) -> str:
    slow, fast = result["ratios"].values()
    return f"**{slow:.2f}**, **{fast:.2f}** ({result['value']:.2f} ms a cycle at 1 Mbaud)"


BENCH = Bench(
    measure,
    figure=Figure(
        "cycle of 9 emulated servos beside their bytes' time on the wire, at 1 and 3 Mbaud",
        "ratio at most 1.25, 1.6",
        _cell,
    ),
)
