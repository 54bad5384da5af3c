"""Emulated bus: instructions for many servos, and the timing of the wire."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlab_hardware.dynamixel.emulator.firmware import packet
from handlab_hardware.dynamixel.emulator.firmware.packet import BROADCAST, Code, Error
from handlab_hardware.dynamixel.protocol.registers import (
    REGISTERS,
)


def test_broadcast_ping_is_answered_by_all_in_the_order_of_ids(make_host):
    host = make_host(ids=(30, 2, 11))
    assert [id for id, _, _ in host.send(BROADCAST, Code.PING)] == [2, 11, 30]


def test_instructions_that_do_not_exist_are_refused(host):
    assert host.error(1, 0x33) == Error.INSTRUCTION
    assert host.error(1, Code.ACTION) == Error.INSTRUCTION  # nothing was registered


def test_a_packet_with_a_wrong_crc_is_refused(host):
    broken = bytearray(packet.instruction(1, Code.PING))
    broken[-1] ^= 1
    [reply] = host.bus.receive(bytes(broken), 1.0, host.baud)
    assert reply.data[8] == Error.CRC


def test_sync_read_is_answered_in_the_order_of_the_list(host):
    answers = host.send(BROADCAST, Code.SYNC_READ, struct.pack("<HH", 7, 1) + bytes((3, 1, 2)))
    assert [(id, data) for id, _, data in answers] == [(3, b"\3"), (1, b"\1"), (2, b"\2")]


def test_a_missing_servo_silences_those_after_it(host):
    answers = host.send(BROADCAST, Code.SYNC_READ, struct.pack("<HH", 7, 1) + bytes((3, 9, 2)))
    assert [id for id, _, _ in answers] == [3]


def test_a_fast_read_is_one_reply_and_a_missing_servo_loses_it(make_host, host):
    [(id, _, _)] = host.fast()
    assert id == BROADCAST
    assert len(host.replies[0].data) == 8 + 3 * 14
    assert host.fast((1, 9, 3)) == []
    assert host.fast((1,) * 250, 0, 662) == []  # more than a packet can hold
    assert make_host(firmware=44).fast() == []


def test_bulk_reads_and_writes_have_an_address_for_each(host):
    write = struct.pack("<BHHB", 1, 65, 1, 1) + struct.pack("<BHHi", 2, 116, 4, 1000)
    assert host.send(BROADCAST, Code.BULK_WRITE, write) == []
    read = struct.pack("<BHHBHH", 1, 65, 1, 2, 116, 4)
    answers = host.send(BROADCAST, Code.BULK_READ, read)
    assert [data for _, _, data in answers] == [b"\1", struct.pack("<i", 1000)]


params = st.one_of(
    st.binary(max_size=30),
    st.tuples(st.integers(0, 700), st.integers(0, 70_000), st.binary(max_size=12)).map(
        lambda p: struct.pack("<HH", p[0], p[1] & 0xFFFF) + p[2]
    ),
    st.tuples(st.sampled_from(sorted(r.address for r in REGISTERS.values())), st.binary()).map(
        lambda p: struct.pack("<H", p[0]) + p[1]
    ),
)


packets = st.tuples(
    st.sampled_from((1, 2, 9, BROADCAST)),
    st.one_of(st.sampled_from([c for c in Code if c != Code.STATUS]), st.integers(0, 255)),
    params,
)


@settings(deadline=None, max_examples=150)
@given(st.lists(packets, max_size=20))
def test_no_packets_bring_the_bus_down(make_host, sent):
    """And every answer is a good packet."""
    host = make_host(ids=(1, 2))
    for one in sent:
        host.send(*one)
        for reply in host.replies:
            crc = packet.crc16(reply.data[:-2])
            assert reply.data[-2:] == crc.to_bytes(2, "little")
        host.wait(0.02)


def test_the_wire_takes_its_time(host):
    """A read of 10 bytes: 14 bytes out, the return delay, the processing, 21 bytes back."""
    host.write(1, "return_delay_time", 100)
    start = host.now + host.gap
    host.send(1, Code.READ, struct.pack("<HH", 126, 10))
    expected = (14 + 21) * 10 / host.baud + 100 * 2e-6 + host.config.processing
    assert host.now - start == pytest.approx(expected)


def test_a_packet_that_breaks_off_is_forgotten_after_a_while(host):
    whole = packet.instruction(1, Code.PING)
    assert host.bus.receive(whole[:6], 1.0, host.baud) == []
    assert len(host.bus.receive(whole[6:], 1.05, host.baud)) == 1
    assert host.bus.receive(whole[:6], 2.0, host.baud) == []
    assert host.bus.receive(whole[6:], 2.2, host.baud) == []


def test_an_instruction_waits_for_the_wire_to_be_free(host):
    sync_write = struct.pack("<HHBi", 116, 4, 1, 2048)
    first = packet.instruction(BROADCAST, Code.SYNC_WRITE, sync_write)
    ping = packet.instruction(1, Code.PING)
    [alone] = host.bus.receive(ping, 1.0, host.baud)
    [behind] = host.bus.receive(first + ping, 2.0, host.baud)
    assert behind.time - 2.0 == pytest.approx(alone.time - 1.0 + len(first) * 10 / host.baud)


def test_a_fast_read_costs_one_return_delay_and_one_processing_time(host):
    start = host.now + host.gap
    host.fast()
    sent = len(packet.instruction(BROADCAST, 0, bytes(7)))
    wire = (sent + 8 + 3 * 14) * 10 / host.baud
    assert host.now - start == pytest.approx(wire + 250 * 2e-6 + host.config.processing)
