"""Protocol 2.0 packets: frames, byte stuffing and CRC, as pure functions of bytes.

FF FF FD 00 | id | length, low byte first | instruction | parameters | CRC, low byte first.
Length counts from the instruction to the CRC. (ROBOTIS-GIT/emanual, docs/en/dxl/protocol2.md)
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from handlab_hardware.dynamixel.protocol.crc import crc16

HEADER = b"\xff\xff\xfd"
PREFIX = HEADER + b"\x00"
STUFFED = HEADER + b"\xfd"
BROADCAST = 0xFE
MAX_ID = 252
MAX_LENGTH = 1021
"""bytes; largest value of the length field; chosen.

A frame then has at most 1028 bytes, slightly more than the longest packet of the vendor's SDK."""

FRAME_HEAD = 7  # bytes before the instruction
CRC_SIZE = 2


class Code(IntEnum):
    """Instruction codes."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REG_WRITE = 0x04
    ACTION = 0x05
    FACTORY_RESET = 0x06
    REBOOT = 0x08
    CLEAR = 0x10
    BACKUP = 0x20
    STATUS = 0x55
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83
    FAST_SYNC_READ = 0x8A
    BULK_READ = 0x92
    BULK_WRITE = 0x93
    FAST_BULK_READ = 0x9A


class Error(IntEnum):
    """Error codes: the low seven bits of a status packet's error byte."""

    NONE = 0
    RESULT_FAIL = 1
    INSTRUCTION = 2
    CRC = 3
    DATA_RANGE = 4
    DATA_LENGTH = 5
    DATA_LIMIT = 6
    ACCESS = 7


class Alert(IntFlag):
    """Alert bit: the high bit of a status packet's error byte."""

    HARDWARE = 0x80


@dataclass(frozen=True, slots=True)
class Instruction:
    """Received instruction packet."""

    id: int
    code: int
    params: bytes
    size: int
    """bytes; length on the wire."""
    intact: bool = True
    """Whether the CRC is right."""


def stuff(body: bytes) -> bytes:
    """Insert stuffing bytes, so that instruction and parameters contain no header."""
    return body.replace(HEADER, STUFFED) if HEADER in body else body


def unstuff(body: bytes) -> bytes:
    """Remove the stuffing bytes that `stuff` inserts."""
    return body.replace(STUFFED, HEADER) if STUFFED in body else body


def frame(id: int, body: bytes) -> bytes:
    """Build a packet from an id and a body of instruction (or status) and parameters."""
    body = stuff(body)
    packet = PREFIX + struct.pack("<BH", id, len(body) + CRC_SIZE) + body
    return packet + crc16(packet).to_bytes(CRC_SIZE, "little")


def instruction(id: int, code: int, params: bytes = b"") -> bytes:
    """Build an instruction packet."""
    return frame(id, bytes((code,)) + params)


def status(id: int, error: int, params: bytes = b"") -> bytes:
    """Build a status packet."""
    return frame(id, bytes((Code.STATUS, error)) + params)


def fast_status(answers: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Build the common status packet of many servos that answer a fast read.

    Each answer ends with the CRC of all bytes before it, earlier CRCs included. The packet has no
    byte stuffing.

    Args:
        answers: error, id and data of each servo, in their order.
    """
    answers = list(answers)
    length = 1 + sum(len(data) + 2 + CRC_SIZE for _, _, data in answers)
    packet = bytearray(PREFIX + struct.pack("<BHB", BROADCAST, length, Code.STATUS))
    crc = crc16(packet)
    for error, id, data in answers:
        block = bytes((error, id)) + data
        crc = crc16(block, crc)
        end = crc.to_bytes(CRC_SIZE, "little")
        crc = crc16(end, crc)
        packet += block + end
    return bytes(packet)


class Parser:
    """Parser of instruction packets in a byte stream with arbitrary chunks and garbage."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Return the number of bytes of an incomplete packet."""
        return len(self._buffer)

    def reset(self) -> None:
        """Discard an incomplete packet."""
        self._buffer.clear()

    def feed(self, data: bytes) -> list[Instruction]:
        """Take bytes; return the packets that they complete."""
        self._buffer += data
        packets = []
        while (packet := self._next()) is not None:
            packets.append(packet)
        return packets

    def _next(self) -> Instruction | None:
        while self._seek():
            buffer = self._buffer
            length = buffer[5] | buffer[6] << 8
            end = FRAME_HEAD + length
            fresh = self._header_within(min(end - CRC_SIZE, len(buffer)))
            if fresh:  # a new packet begins before the end of this one
                del buffer[:fresh]
                continue
            if len(buffer) < end:
                return None
            packet = bytes(buffer[:end])
            del buffer[:end]
            if packet[7] == Code.STATUS:  # an echo, or the answer of another servo
                continue
            return Instruction(
                packet[4],
                packet[7],
                unstuff(packet[FRAME_HEAD:-CRC_SIZE])[1:],
                end,
                crc16(packet[:-CRC_SIZE]) == packet[-2] | packet[-1] << 8,
            )
        return None

    def _seek(self) -> bool:
        """Discard bytes before the next plausible header; return whether it is complete."""
        buffer = self._buffer
        while True:
            start = buffer.find(HEADER)
            if start < 0:  # the last two bytes may begin a header
                del buffer[:-2]
                return False
            if start:
                del buffer[:start]
            if len(buffer) > 3 and buffer[3] == HEADER[2]:  # stuffing: inside of a packet
                del buffer[:3]
                continue
            if len(buffer) < FRAME_HEAD:
                return False
            id, length = buffer[4], buffer[5] | buffer[6] << 8
            if (id <= MAX_ID or id == BROADCAST) and 1 + CRC_SIZE <= length <= MAX_LENGTH:
                return True
            del buffer[:3]

    def _header_within(self, end: int) -> int:
        """Return the index of an unstuffed header before `end`, or 0 without one."""
        buffer = self._buffer
        at = buffer.find(HEADER, 4, end)
        while at >= 0:
            if at + 3 >= end:
                return 0  # the next byte is missing, or belongs to the CRC
            if buffer[at + 3] != HEADER[2]:
                return at
            at = buffer.find(HEADER, at + 4, end)
        return 0
