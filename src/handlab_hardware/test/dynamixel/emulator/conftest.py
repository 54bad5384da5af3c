"""Fixtures: an emulated bus without a port, and an emulated port."""

import struct

import numpy as np
import pytest
import serial

from handlab_hardware.dynamixel.emulator import EmulatorConfig, emulate, make_bus
from handlab_hardware.dynamixel.emulator.firmware import packet
from handlab_hardware.dynamixel.emulator.firmware.packet import Code
from handlab_hardware.dynamixel.protocol.registers import REGISTERS

PONG_SIZE = 14  # bytes of a status packet that answers a ping


class Host:
    """Talks to a bus; raw packets in, decoded status packets out."""

    gap = 0.001  # s between packets

    def __init__(self, **config):
        config.setdefault("ids", (1, 2, 3))
        self.config = EmulatorConfig(**config)
        self.bus = make_bus(self.config)
        self.now, self.baud, self.replies = 0.0, self.config.baud, []

    @property
    def loop(self):
        return self.bus.loop

    def send(self, id, code, params=b""):
        """Return [(id, error, params)] of what is answered, and wait until it is here."""
        self.now += self.gap
        sent = packet.instruction(id, code, params)
        self.replies = self.bus.receive(sent, self.now, self.baud)
        if self.replies:
            self.now = self.replies[-1].time
        return [(r.data[4], r.data[8], packet.unstuff(r.data[9:-2])) for r in self.replies]

    def error(self, id, code, params=b""):
        [(answering, error, _)] = self.send(id, code, params)
        assert answering == id
        return error

    def write(self, id, name, value):
        r = REGISTERS[name]
        data = value.to_bytes(r.size, "little", signed=value < 0)
        return self.error(id, Code.WRITE, struct.pack("<H", r.address) + data)

    def read(self, id, name):
        r = REGISTERS[name]
        [(_, _, data)] = self.send(id, Code.READ, struct.pack("<HH", r.address, r.size))
        return int.from_bytes(data, "little", signed=r.signed)

    def fast(self, ids=(1, 2, 3), address=126, length=10):
        """Read a span of many servos by one packet; return the answer."""
        params = struct.pack("<HH", address, length) + bytes(ids)
        return self.send(packet.BROADCAST, Code.FAST_SYNC_READ, params)

    def wait(self, seconds):
        self.now += seconds
        self.bus.advance(self.now)


class Bench:
    """One servo, or a few, without a wire: registers by name, and time."""

    def __init__(self, ids=(1,), physics=None, **config):
        self.bus = make_bus(EmulatorConfig(ids=ids, **config), physics)
        self.servos, self.loop = self.bus.servos, self.bus.loop
        self.now = 0.0

    def __setitem__(self, name, value, servo=0):
        r = REGISTERS[name]
        data = int(value).to_bytes(r.size, "little", signed=value < 0)
        assert self.servos[servo].write(r.address, data).error == 0, name

    def __getitem__(self, name):
        self.loop.refresh()
        return self.servos[0].table.get(name)

    def run(self, seconds):
        self.now += seconds
        self.bus.advance(self.now)

    def record(self, name, seconds, step=0.01):
        values = []
        for _ in range(round(seconds / step)):
            self.run(step)
            values.append(self[name])
        return np.array(values)


@pytest.fixture(scope="session")
def make_host():
    """The class of hosts."""
    return Host


@pytest.fixture
def host():
    return Host()


@pytest.fixture(scope="session")
def make_bench():
    """The class of benches."""
    return Bench


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture(scope="session")
def ping():
    """Function that pings servo 1 and returns the bytes of its answer."""

    def ping(name, baud=1_000_000, timeout=60.0):
        with serial.Serial(name, baud, timeout=timeout) as port:
            port.write(packet.instruction(1, Code.PING))
            return port.read(PONG_SIZE)

    return ping


@pytest.fixture
def link(tmp_path):
    return tmp_path / "port"


@pytest.fixture
def served(link):
    with emulate(EmulatorConfig(link=link)) as port:
        yield port
