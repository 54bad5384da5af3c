"""The checksum of Protocol 2.0: CRC-16/BUYPASS, polynomial 0x8005, nothing reflected."""

import struct
from array import array

import numpy as np


def _table() -> "array[int]":
    """CRCs of all pairs of bytes."""
    crc = np.arange(1 << 16)
    for _ in range(16):
        crc = (crc << 1) ^ (crc >> 15) * 0x18005
    return array("H", crc.astype(np.uint16).tobytes())


TABLE = _table()


def crc16(data: bytes | bytearray, crc: int = 0) -> int:
    """Carry a CRC on over more bytes; two at a time, for this is most of the work."""
    table, pairs = TABLE, len(data) // 2
    for pair in struct.unpack_from(f">{pairs}H", data):
        crc = table[crc ^ pair]
    if len(data) % 2:
        crc = ((crc & 0xFF) << 8) ^ table[crc >> 8 ^ data[-1]]
    return crc
