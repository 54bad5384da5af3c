"""Frames: the manual's own examples, and laws over all bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlab_hardware.dynamixel.emulator.firmware import packet
from handlab_hardware.dynamixel.emulator.firmware.packet import Code, Parser

FRAMES = {
    "ping": (packet.instruction(1, Code.PING), "FF FF FD 00 01 03 00 01 19 4E"),
    "ping all": (packet.instruction(0xFE, Code.PING), "FF FF FD 00 FE 03 00 01 31 42"),
    "pong": (packet.status(1, 0, b"\x06\x04\x26"), "FF FF FD 00 01 07 00 55 00 06 04 26 65 5D"),
    "read": (
        packet.instruction(1, Code.READ, b"\x84\x00\x04\x00"),
        "FF FF FD 00 01 07 00 02 84 00 04 00 1D 15",
    ),
    "was read": (
        packet.status(1, 0, b"\xa6\x00\x00\x00"),
        "FF FF FD 00 01 08 00 55 00 A6 00 00 00 8C C0",
    ),
    "write": (
        packet.instruction(1, Code.WRITE, b"\x74\x00\x00\x02\x00\x00"),
        "FF FF FD 00 01 09 00 03 74 00 00 02 00 00 CA 89",
    ),
    "sync read": (
        packet.instruction(0xFE, Code.SYNC_READ, b"\x84\x00\x04\x00\x01\x02"),
        "FF FF FD 00 FE 09 00 82 84 00 04 00 01 02 CE FA",
    ),
    "bulk read": (
        packet.instruction(0xFE, Code.BULK_READ, b"\x01\x90\x00\x02\x00\x02\x92\x00\x01\x00"),
        "FF FF FD 00 FE 0D 00 92 01 90 00 02 00 02 92 00 01 00 1A 05",
    ),
    "clear": (
        packet.instruction(1, Code.CLEAR, b"\x01\x44\x58\x4c\x22"),
        "FF FF FD 00 01 08 00 10 01 44 58 4C 22 B1 DC",
    ),
}
"""From docs/en/dxl/protocol2.md of the vendor's e-manual."""


bodies = st.lists(st.sampled_from((b"\xff", b"\xfd", b"\x00", b"\xff\xff\xfd", b"a"))).map(b"".join)


ids = st.one_of(st.integers(0, packet.MAX_ID), st.just(packet.BROADCAST))


instructions = st.tuples(ids, st.sampled_from([c for c in Code if c != Code.STATUS]), bodies)


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_those_of_the_manual(name):
    built, expected = FRAMES[name]
    assert built == bytes.fromhex(expected)


def test_a_fast_reply_carries_the_crc_on():
    """The manual's example of a fast sync read: present positions of ids 3, 7 and 4."""
    data = {3: "A6 00 00 00", 7: "1F 08 00 00", 4: "FF 03 00 00"}
    reply = packet.fast_status((0, id, bytes.fromhex(text)) for id, text in data.items())
    assert reply[:8] == bytes.fromhex("FF FF FD 00 FE 19 00 55")
    assert [reply[14 + 8 * i : 16 + 8 * i].hex() for i in range(3)] == ["8408", "16ca", "d19e"]


@settings(deadline=None)
@given(bodies)
def test_unstuffing_undoes_stuffing(body):
    stuffed = packet.stuff(body)
    assert packet.unstuff(stuffed) == body
    assert stuffed.count(packet.HEADER) == stuffed.count(packet.STUFFED)


def parsed(chunks):
    parser = Parser()
    return [(p.id, p.code, p.params) for chunk in chunks for p in parser.feed(chunk) if p.intact]


@settings(deadline=None)
@given(st.lists(instructions, max_size=4), st.data())
def test_packets_are_found_in_any_pieces(sent, data):
    stream = b"".join(packet.instruction(*one) for one in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parsed(pieces) == sent


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=20), instructions), max_size=4))
def test_packets_are_found_between_garbage(mixed):
    """Whatever garbage does not itself begin a packet."""
    noise = [garbage.replace(b"\xff", b"\x00") for garbage, _ in mixed]
    stream = b"".join(
        n + packet.instruction(*one) for n, (_, one) in zip(noise, mixed, strict=True)
    )
    assert parsed([stream]) == [one for _, one in mixed]


@settings(deadline=None)
@given(instructions, instructions, st.data())
def test_a_packet_that_breaks_off_does_not_swallow_the_next(first, second, data):
    whole = packet.instruction(*first)
    part = whole[: data.draw(st.integers(7, len(whole) - 2))]
    following = packet.instruction(*second) + packet.instruction(5, Code.PING)
    assert parsed([part, following])[-1] == (5, Code.PING, b"")


def test_a_packet_with_a_wrong_crc_is_not_intact():
    whole = bytearray(packet.instruction(1, Code.PING))
    whole[-1] ^= 1
    [broken] = Parser().feed(bytes(whole))
    assert (broken.id, broken.intact) == (1, False)


def test_a_header_of_length_and_crc_is_no_new_packet():
    """Parameters that end in FF FF before a CRC of FD xx look like a header, and are not."""
    for tail in range(1 << 16):
        body = tail.to_bytes(2, "little") + b"\xff\xff"
        whole = packet.instruction(1, Code.WRITE, body)
        if whole[-2] == 0xFD and whole[-1] != 0xFD:
            break
    assert parsed([whole[:-1], whole[-1:]]) == [(1, Code.WRITE, body)]
