"""Faults of an emulated bus."""

import struct

import numpy as np
import pytest
import serial

from handlab_core.errors import BadConfig
from handlab_hardware.dynamixel.emulator import EmulatorConfig, Fault, emulate, make_bus
from handlab_hardware.dynamixel.emulator.firmware import packet
from handlab_hardware.dynamixel.emulator.firmware.packet import BROADCAST, Code

PING = packet.instruction(1, Code.PING)


PONG_SIZE = 14


def test_the_same_seed_loses_the_same_packets():
    def lost(seed):
        with emulate(EmulatorConfig(seed=seed)) as port:
            port.inject(Fault("drop", probability=0.5))
            with serial.Serial(port.name, 1_000_000, timeout=0.1) as client:
                return [client.write(PING) and client.read(PONG_SIZE) == b"" for _ in range(12)]

    assert lost(1) == lost(1)
    assert 0 < sum(lost(1)) < 12


def holding(*faults):
    """Return the angles, rad, that servos give way to a load, and their torques, N m."""
    bus = make_bus(EmulatorConfig(ids=(1, 2)))
    bus.receive(
        packet.instruction(BROADCAST, Code.WRITE, struct.pack("<HB", 64, 1)), 0.0, 1_000_000
    )
    bus.advance(0.5)
    start = bus.loop.motion.position
    for fault in faults:
        bus.faults.inject(fault)
    bus.loop.physics.load = np.full(2, 0.5)
    bus.advance(1.5)
    return bus.loop.motion.position - start, bus.loop.motion.torque


def test_a_weak_servo_gives_way_in_proportion_and_its_current_is_what_moves_it():
    way, torque = holding(Fault("weak", id=2, strength=0.5))
    assert way[1] == pytest.approx(2 * way[0], rel=0.1)
    assert torque == pytest.approx([-0.5, -0.5], abs=0.1)


def test_a_servo_of_no_strength_has_no_torque_but_answers():
    way, torque = holding(Fault("weak", id=2, strength=0.0))
    assert torque[1] == 0.0 and way[1] > 10 * way[0]


def test_a_loose_servo_gives_way_by_half_its_play_without_torque():
    way, torque = holding(Fault("loose", id=2, play=0.2))
    assert way[1] - way[0] == pytest.approx(0.1, abs=0.01)
    assert torque[1] == pytest.approx(torque[0], abs=0.05)


def test_worn_servos_are_as_new_after_clear():
    worn = Fault("weak", strength=0.0), Fault("loose", play=0.2), Fault("clear")
    assert holding(*worn)[0] == pytest.approx(holding()[0], abs=1e-6)


@pytest.mark.parametrize("values", [{"strength": 1.1}, {"strength": -0.1}, {"play": -0.1}])
def test_wear_that_cannot_be_is_refused(values):
    with pytest.raises(BadConfig, match="not between 0 and 1"):
        Fault("weak", **values)
