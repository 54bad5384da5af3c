"""Fixtures: an emulated claw with its valve, and a backend that drives it."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.types import Command
from handlab_hardware.dynamixel.backend import DynamixelBackend
from handlab_hardware.dynamixel.emulator import EmulatorConfig, Fault, emulate
from handlab_hardware.station_file import load_station, station_path

IDS = (10, 11, 12, 20, 21, 22, 30, 31, 32, 50)
PERIOD = 0.01  # s, of a cycle
STRONG = np.full((1, 9), 3.0)  # N m


@pytest.fixture(scope="session", autouse=True)
def _alert_threads():
    """Shorten the switch interval: driver and emulator share one interpreter in these tests."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(before)


class Clock:
    """Clock that a test advances; the time of the wire stays real."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Rig:
    """A backend, the emulator behind it, and helpers for both."""

    def __init__(self, port, station_file):
        self.port, self.file, self.clock = port, station_file, Clock()
        self.hand, self.fixture = make_hand("claw"), FIXTURES.make("valve")
        self.station = self.guard = None

    def open(self):
        self.station = DynamixelBackend(self.hand, self.fixture, self.file, self.clock)
        self.guard = ClampedBackend(self.hand, self.fixture, self.station)
        return self.station

    def fault(self, kind, **values):
        self.port.inject(Fault(kind, **values))

    def servo(self, id):
        return next(s for s in self.port.bus.servos if s.id == id)

    def get(self, id, register):
        return self.servo(id).table.get(register)

    def put(self, id, register, value):
        servo = self.servo(id)
        servo.table.put(register, value)
        servo.changed = True
        servo._remember()

    def step(self, q=0.0, effort=STRONG, fixture=None, cycles=1):
        """Step at 100 Hz of the station's clock, as fast as the wire permits."""
        command = Command(np.zeros((1, 9)) + q, np.zeros((1, 9)) + effort)
        for _ in range(cycles):
            self.clock.now = round(self.clock.now + PERIOD, 9)
            reading = self.guard.step(command, fixture, PERIOD)
        return reading

    def until(self, reached, cycles=1000, **command):
        """Step until a condition holds; fail after `cycles`."""
        for _ in range(cycles):
            self.step(**command)
            if reached():
                return
        pytest.fail(f"not within {cycles} cycles: {self.station.motor_status}")


@pytest.fixture
def make_rig(tmp_path):
    """Build rigs, and close them after the test."""
    opened = []

    def make(ids=IDS, station=None, mode="position", **config):
        port = emulate(EmulatorConfig(ids=tuple(ids), link=tmp_path / "dxl", **config)).start()
        opened.append(port)
        file = station or load_station(station_path("claw"))
        servos = file.dynamixel.servos
        section = replace(file.dynamixel, port=port.name, mode=mode, servos=servos)
        rig = Rig(port, replace(file, dynamixel=section))
        opened.append(rig)
        return rig

    yield make
    for thing in reversed(opened):
        if isinstance(thing, Rig):
            if thing.station is not None:
                thing.station.close()
        else:
            thing.close()


@pytest.fixture
def rig(make_rig):
    """A rig with an open, inactive backend."""
    rig = make_rig()
    rig.open()
    return rig


@pytest.fixture
def live(rig):
    """A rig with an active backend."""
    rig.station.activate()
    return rig
