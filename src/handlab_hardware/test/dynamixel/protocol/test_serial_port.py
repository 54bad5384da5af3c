"""Serial port: errors of opening, and their remedies."""

import os

import pytest

from handlab_core.errors import BadConfig, StationFault
from handlab_hardware.dynamixel.protocol import serial_port
from handlab_hardware.dynamixel.protocol.bus import ServoBus


def test_a_missing_port_says_what_to_do(tmp_path):
    with pytest.raises(StationFault, match="plug the adapter in"):
        ServoBus(str(tmp_path / "ttyUSB9"), 1_000_000)


def test_a_port_that_is_in_use_says_so(pair):
    port, _ = pair
    with pytest.raises(StationFault, match="is in use"):
        ServoBus(port.name, 1_000_000)


@pytest.mark.parametrize(
    ("code", "words"),
    [(13, "dialout"), (16, "is in use"), (19, "plug the adapter in"), (5, "/dev/x")],
)
def test_every_error_of_opening_has_its_remedy(monkeypatch, code, words):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(serial_port.serial, "Serial", refuse)
    monkeypatch.setattr(serial_port.os.path, "exists", lambda _: True)
    with pytest.raises(StationFault, match=words):
        ServoBus("/dev/x", 1_000_000)


def test_a_baud_that_no_adapter_knows_is_refused(tmp_path):
    with pytest.raises(BadConfig, match="123456"):
        ServoBus(str(tmp_path / "x"), 123_456)


@pytest.mark.parametrize(("timer", "warned"), [("16", True), ("1", False), (None, False)])
def test_a_slow_latency_timer_is_reported_with_the_udev_rule(make, tmp_path, timer, warned):
    port, bus = make()
    bus.close()
    device = tmp_path / "sys" / os.path.basename(os.path.realpath(port.name))
    device.mkdir(parents=True)
    if timer is not None:
        (device / "latency_timer").write_text(f"{timer}\n")
    bus = ServoBus(port.name, 1_000_000, sysfs=tmp_path / "sys")
    bus.close()
    assert bool(bus.notes) == warned
    if warned:
        assert 'ATTR{latency_timer}="1"' in bus.notes[0] and "16 ms" in bus.notes[0]
