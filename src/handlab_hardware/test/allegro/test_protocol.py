"""The wire of the Allegro hand: the vendor's numbers, and pairs of functions that are inverse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handlab_core.hands import make_hand
from handlab_hardware.allegro import protocol
from handlab_hardware.allegro.protocol import V4, V5, VERSIONS, HandInfo, Message, Serial, Status

COUNTS = arrays(np.int64, 4, elements=st.integers(-32768, 32767))


WORD, BYTE = st.integers(0, 65535), st.integers(0, 255)


@pytest.mark.parametrize(
    ("message", "arbitration_id"),
    [
        (Message.SYSTEM_ON, 0x100),
        (Message.SYSTEM_OFF, 0x104),
        (Message.SET_TORQUE, 0x180),
        (Message.SET_TORQUE + 3, 0x18C),
        (Message.SET_PERIOD, 0x204),
        (Message.CONFIG, 0x1A0),
        (Message.HAND_INFO, 0x200),
        (Message.SERIAL, 0x220),
        (Message.FINGER_POSE, 0x080),
        (Message.FINGER_POSE + 3, 0x08C),
        (Message.IMU, 0x0C0),
        (Message.TEMPERATURE, 0x0E0),
        (Message.FINGERTIP, 0x3C0),
        (Message.FINGERTIP + 2, 0x3C8),
    ],
)
def test_ids_are_the_vendors(message, arbitration_id):
    assert protocol.frame_id(message, 0) == arbitration_id
    assert protocol.frame_id(message, 3) == arbitration_id + 3


def test_units_are_the_vendors():
    assert V4.rad_per_count == pytest.approx(8.876e-5, rel=1e-3)
    assert V5.rad_per_count == pytest.approx(1.536e-3, rel=1e-3)
    assert V4.periods[0] == 3 and V5.periods[0] == 2
    # A fingertip's clip: 285 of 1200 counts of 0.7 N m.
    clip = protocol.torque_from_counts(np.array(V4.torque_clip), protocol.torque_scale(V4))
    np.testing.assert_allclose(clip, make_hand("allegro").max_effort)
    assert clip[3] == pytest.approx(0.7 * 285 / 1200)
    one = protocol.counts_from_torque(np.full(16, 0.1), protocol.torque_scale(V5, geared_b=True))
    assert one[0] == 143 and one[1] == one[5] == one[9] == 72


def test_payloads_by_hand():
    assert protocol.pack_counts(np.array([1, -1, 256, -32768])) == bytes.fromhex("0100ffff00010080")
    assert protocol.pack_periods((3, 0, 500)) == bytes.fromhex("03000000f401")
    assert protocol.unpack_periods(bytes.fromhex("03000000f4010000")) == (3, 0, 500)
    info = HandInfo.unpack(bytes.fromhex("00040301012a05"))
    assert (info.hardware, info.firmware, info.side, info.temperature) == (0x0400, 0x0103, 1, 42)
    assert info.status == Status.SERVO_ON | Status.INTERNAL_COMMUNICATION


@given(COUNTS)
def test_counts_are_inverse(counts):
    np.testing.assert_array_equal(protocol.unpack_counts(protocol.pack_counts(counts)), counts)


@given(counts=COUNTS, name=st.sampled_from(sorted(VERSIONS)))
def test_angles_are_inverse(counts, name):
    version = VERSIONS[name]
    angle = protocol.rad_from_counts(counts, version)
    np.testing.assert_array_equal(protocol.counts_from_rad(angle, version), counts)


@given(arrays(float, 16, elements=st.floats(-0.7, 0.7)), st.booleans())
def test_torques_are_inverse_to_half_a_count(torque, geared_b):
    scale = protocol.torque_scale(V5, geared_b)
    back = protocol.torque_from_counts(protocol.counts_from_torque(torque, scale), scale)
    assert (np.abs(back - torque) <= 0.5 / scale + 1e-12).all()


@given(arrays(float, 4, elements=st.floats(-1e6, 1e6)))
def test_no_angle_overflows(angle):
    assert (np.abs(protocol.counts_from_rad(angle, V4)) <= 32768).all()


@given(st.tuples(WORD, WORD, WORD))
def test_periods_are_inverse(periods):
    assert protocol.unpack_periods(protocol.pack_periods(periods)) == periods


@given(arrays(np.int64, 4, elements=BYTE))
def test_temperatures_are_inverse(celsius):
    back = protocol.unpack_temperatures(protocol.pack_temperatures(celsius))
    np.testing.assert_array_equal(back, celsius)


@given(WORD, WORD, st.integers(0, 1), BYTE, st.integers(0, 7))
def test_hand_info_is_inverse(hardware, firmware, side, temperature, status):
    info = HandInfo(hardware, firmware, side, temperature, Status(status))
    assert HandInfo.unpack(info.pack()) == info


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8))
def test_serials_are_inverse(text):
    assert Serial.unpack(Serial(text).pack()) == Serial(text)


@given(st.integers(0, 0x1FF), st.integers(0, 3))
def test_ids_are_inverse(message, device):
    assert protocol.split_id(protocol.frame_id(message, device)) == (message, device)


@pytest.mark.parametrize(
    "unpack",
    [
        protocol.unpack_counts,
        protocol.unpack_periods,
        protocol.unpack_temperatures,
        HandInfo.unpack,
        Serial.unpack,
    ],
)
@pytest.mark.parametrize("length", [0, 3, 5])
def test_a_payload_of_another_length_is_refused(unpack, length):
    with pytest.raises(ValueError, match="bytes"):
        unpack(bytes(length))


def test_a_v5_serial_contains_gear_and_side():
    assert Serial("01AR0001").is_v5 and not Serial("01AR0001").geared_b
    assert Serial("01BL0001").geared_b
    assert not Serial("0B000001").is_v5
