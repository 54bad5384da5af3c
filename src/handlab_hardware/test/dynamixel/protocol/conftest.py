"""Fixtures: a servo bus on an emulated port."""

import pytest

from handlab_hardware.dynamixel.emulator import EmulatorConfig, emulate
from handlab_hardware.dynamixel.protocol.bus import ServoBus

IDS = (10, 11, 12)


@pytest.fixture
def make(tmp_path):
    """Function that opens an emulated port and a bus on it, which are closed at the end."""
    opened = []

    def make(baud=1_000_000, **config):
        port = emulate(EmulatorConfig(ids=IDS, link=tmp_path / "dxl", baud=baud, **config))
        opened.append(port.start())
        bus = ServoBus(port.name, baud)
        opened.append(bus)
        return port, bus

    yield make
    for thing in reversed(opened):
        thing.close()


@pytest.fixture
def pair(make):
    return make()
