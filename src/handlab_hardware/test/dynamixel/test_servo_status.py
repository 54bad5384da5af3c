"""Status of the servos in words."""

import pytest

from handlab_hardware.dynamixel.failures import (
    ServoRefused,
)


def torque(rig):
    """Who has torque, by the servos themselves."""
    return {servo.id for servo in rig.port.bus.servos if servo.table.get("torque_enable")}


def said(rig):
    return " ".join(rig.station.motor_status.problems)


@pytest.mark.parametrize(
    ("fault", "name"), [("overload", "overload"), ("encoder", "motor encoder"), ("shock", "shock")]
)
def test_a_hardware_error_is_named_at_once(live, fault, name):
    live.step()
    live.fault(fault, id=12)
    live.until(lambda: live.station.motor_status.problems, cycles=3)
    assert f"servo 12 (FFJ12): {name}" in said(live) or name in said(live)
    assert live.station.motor_status.hand.hardware_error[2] != 0
    assert live.station.read().hand.stamp[0] == live.clock.now, "its data is still good"


def test_low_voltage_is_named_and_does_not_stop_the_hand(live):
    live.step()
    live.fault("brown_out", seconds=600, volts=9.0)
    live.until(lambda: "input voltage" in said(live))
    assert live.station.read().hand.stamp[0] == live.clock.now
    assert 10 in torque(live)


def test_a_refusal_is_reported(live, monkeypatch):
    live.step(effort=0.0)
    bus = live.station._bus
    write = bus.write

    def refuse(servo, register, value, **options):
        if (servo, register, value) == (20, "torque_enable", 1):
            raise ServoRefused("servo 20 would not")
        write(servo, register, value, **options)

    monkeypatch.setattr(bus, "write", refuse)
    live.step()
    assert "servo 20 would not" in said(live) and live.station.motor_status.counts["refusals"] == 1
    monkeypatch.undo()
    live.step()
    assert not said(live)
