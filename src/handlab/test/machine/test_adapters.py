"""The latency timer of an adapter and the rule that sets it."""

import pytest

from handlab.machine import adapters
from handlab.machine.adapters import Places, lacks_rule, set_timers, slow_adapters, write_rule
from handlab_hardware.dynamixel.protocol.serial_port import UDEV_RULE


@pytest.fixture
def places(tmp_path):
    """A slow adapter on ttyUSB0, one without a timer on ttyACM0; no rule."""
    devices, sysfs = tmp_path / "dev", tmp_path / "sys"
    (devices / "serial/by-id").mkdir(parents=True)
    for name in ("ttyUSB0", "ttyACM0"):
        (devices / name).touch()
    (devices / "serial/by-id/usb-FTDI").symlink_to(devices / "ttyUSB0")
    (sysfs / "ttyUSB0").mkdir(parents=True)
    (sysfs / "ttyUSB0/latency_timer").write_text("16\n")
    return Places(devices, sysfs, tmp_path / "99-dynamixel.rules")


@pytest.fixture(autouse=True)
def no_udevadm(monkeypatch):
    """Leave this machine's udev alone."""
    monkeypatch.setattr(adapters.subprocess, "run", lambda *_, **__: None)


def test_a_slow_adapter_is_made_fast_once(places):
    port = str(places.devices / "ttyUSB0")
    assert slow_adapters(places) == {port: 16}
    assert set_timers(places) == f"1 ms now on {port}"
    assert slow_adapters(places) == {}


def test_the_rule_is_added_behind_the_lines_that_are_there(places):
    places.rule.write_text("# mine")
    assert lacks_rule(places)
    assert "plugged in from now on" in write_rule(places)
    assert places.rule.read_text() == f"# mine\n{UDEV_RULE}\n"
    assert not lacks_rule(places)


def test_without_an_adapter_no_rule_is_missing(places):
    (places.sysfs / "ttyUSB0/latency_timer").unlink()
    assert not lacks_rule(places)


def test_without_udevadm_the_rule_holds_later(places, monkeypatch):
    def absent(*_, **__):
        raise FileNotFoundError("udevadm")

    monkeypatch.setattr(adapters.subprocess, "run", absent)
    assert "next start of the machine" in write_rule(places)
    assert UDEV_RULE in places.rule.read_text()
