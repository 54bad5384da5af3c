"""Turns the torque of every servo on a port off, from outside the driver; see `guardian`."""

import serial

from handlab_hardware.dynamixel.crc import crc16
from handlab_hardware.dynamixel.registers import REGISTERS

HEADER, BROADCAST, WRITE = b"\xff\xff\xfd\x00", 0xFE, 0x03  # e-manual, protocol 2.0


def let_go(port: str, baud: str) -> None:
    """Turn all torque off on a port; nothing confirms it. OSError if the port cannot be used."""
    with serial.Serial(port, int(baud)) as line:
        line.write(release_all())
        line.flush()


def release_all() -> bytes:
    """Return the packet that turns every servo's torque off."""
    register = REGISTERS["torque_enable"]
    body = bytes((WRITE, *register.address.to_bytes(2, "little"), 0))
    packet = HEADER + bytes((BROADCAST, *(len(body) + 2).to_bytes(2, "little"))) + body
    return packet + crc16(packet).to_bytes(2, "little")
