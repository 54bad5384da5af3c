"""Checksum of Protocol 2.0: CRC-16/BUYPASS, polynomial 0x8005, not reflected."""

import struct
from array import array

import numpy as np


def _table() -> "array[int]":
    """Return the CRCs of all pairs of bytes."""
    crc = np.arange(1 << 16)
    for _ in range(16):
        crc = (crc << 1) ^ (crc >> 15) * 0x18005
    return array("H", crc.astype(np.uint16).tobytes())


TABLE = _table()


def crc16(data: bytes | bytearray, crc: int = 0) -> int:
    """Return the CRC of bytes that follow those of `crc`.

    The loop takes two bytes at a time, since it is most of the work of a cycle.
    """
    table, pairs = TABLE, len(data) // 2
    for pair in struct.unpack_from(f">{pairs}H", data):
        crc = table[crc ^ pair]
    if len(data) % 2:
        crc = ((crc & 0xFF) << 8) ^ table[crc >> 8 ^ data[-1]]
    return crc
