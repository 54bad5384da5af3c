"""Faults of an emulated bus."""

import serial

from handlab_hardware.dynamixel.emulator import (
    EmulatorConfig,
    Fault,
    emulate,
)
from handlab_hardware.dynamixel.emulator.firmware import packet
from handlab_hardware.dynamixel.emulator.firmware.packet import Code

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
