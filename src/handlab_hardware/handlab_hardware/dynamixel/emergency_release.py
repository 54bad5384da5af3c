"""Emergency release of all servos on a port, called by the guardian process; see `guardian`."""

import serial

from handlab_hardware.dynamixel.protocol.crc import crc16
from handlab_hardware.dynamixel.protocol.registers import REGISTERS

HEADER, BROADCAST, WRITE = b"\xff\xff\xfd\x00", 0xFE, 0x03  # e-manual, protocol 2.0


def let_go(port: str, baud: str) -> None:
    """Turn all torque off on a port, by a broadcast without confirmation.

    Args:
        port: path of the serial port.
        baud: speed of the bus, bit/s, as text.

    Raises:
        OSError: the port cannot be used.
    """
    with serial.Serial(port, int(baud)) as line:
        line.write(release_all())
        line.flush()


def release_all() -> bytes:
    """Return the broadcast packet that turns the torque of all servos off."""
    register = REGISTERS["torque_enable"]
    body = bytes((WRITE, *register.address.to_bytes(2, "little"), 0))
    packet = HEADER + bytes((BROADCAST, *(len(body) + 2).to_bytes(2, "little"))) + body
    return packet + crc16(packet).to_bytes(2, "little")
