"""Checksum of Protocol 2.0."""

from hypothesis import given, settings
from hypothesis import strategies as st

from handlab_hardware.dynamixel.emulator.firmware import packet


@settings(deadline=None)
@given(st.binary())
def test_the_crc_is_that_of_the_definition(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ (0x8005 if crc & 0x8000 else 0)) & 0xFFFF
    assert packet.crc16(data) == crc


@settings(deadline=None)
@given(st.binary(), st.binary())
def test_a_crc_is_carried_on(head, tail):
    assert packet.crc16(tail, packet.crc16(head)) == packet.crc16(head + tail)
