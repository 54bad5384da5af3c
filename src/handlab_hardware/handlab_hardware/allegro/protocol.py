"""CAN protocol of the Allegro hand: ids, units and payloads, as data and pure functions.

CAN 2.0A, 11-bit ids, little-endian payloads. From the vendor's drivers, wilson-ko/allegro_hand_ros2
@ 8749d24 (`v4_spec.hpp`, V4) and Wonikrobotics-git/allegro_hand_ros2_v5 (V5), and its wiki's CAN
protocol v4.0. A finger is 0 index, 1 middle, 2 ring, 3 thumb; its joints are 0 to 3 from the palm.

| message        | payload                                                            |
|----------------|--------------------------------------------------------------------|
| SYSTEM_ON, OFF | none: motors on, off                                               |
| SET_TORQUE + f | 4 int16 counts of PWM                                              |
| SET_PERIOD     | 3 uint16 ms: position, IMU, temperature; 0 is never                |
| FINGER_POSE + f| 4 int16 counts of angle                                            |
| TEMPERATURE + f| 4 uint8 degrees Celsius                                            |
| HAND_INFO      | uint16 hardware, uint16 firmware, uint8 side, degrees C, status    |
| SERIAL         | 8 ASCII characters                                                 |
| ERROR          | V5: uint8 motor, uint8 bits of `MotorError`                        |

A remote frame with the id of a message from the hand requests that message at any time.

The owner of one V5 hand (5TBR0017, type B, right) published findings that the vendor's pages lack:
ian-chuang/allegro_hand_v5_plus_python @ 5ff386c, README.md, docs/ and src/. The mark "one owner"
below means these findings: no second hand confirmed them. ERROR is also in the vendor's manual V5
(4F) 1.3, section 11.3.10, as that owner transcribed it.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from handlab_core.errors import BadConfig
from handlab_core.hands.allegro import FULL_PWM, FULL_TORQUE, PWM_CLIP
from handlab_core.types import Array, IntArray

FINGER_NAMES = ("index", "middle", "ring", "thumb")
FINGERS = JOINTS_EACH = 4
JOINTS = FINGERS * JOINTS_EACH
DEVICES = range(4)
"""Device ids, two bits of the arbitration id."""
DEVICE_BITS = 2
BITRATE = 1_000_000
INT16 = np.iinfo(np.int16)


class Message(IntEnum):
    """Message ids; the id of a finger's message is that of the first of four."""

    PICK = 0x11  # V5
    PLACE = 0x12  # V5
    FINGER_POSE = 0x20
    IMU = 0x30
    TEMPERATURE = 0x38
    SYSTEM_ON = 0x40
    FINGERTIP_OF_MANUAL = 0x50  # V5: as FINGERTIP, in the manual
    SYSTEM_OFF = 0x41
    SET_TORQUE = 0x60
    CONFIG = 0x68
    HAND_INFO = 0x80
    SET_PERIOD = 0x81
    SERIAL = 0x88
    CALIBRATE = 0x89  # V5: the hand calibrates its encoders
    CALIBRATED = 0x92  # V5: the calibration is complete
    SET_POSE = 0xE0
    ERROR = 0xEE  # V5
    FINGERTIP = 0xF0  # V5, one owner: pressures of two fingers; the other two at + 2


@dataclass(frozen=True, slots=True)
class Frame:
    """One CAN frame with an 11-bit id."""

    id: int
    data: bytes = b""
    remote: bool = False
    waited: float = field(default=0.0, compare=False)
    """s; time from arrival to reading; 0 if the interface gives no time of arrival."""


@dataclass(frozen=True, slots=True)
class Version:
    """Parameters of one version of the hand."""

    name: str
    rad_per_count: float
    counts_per_newton_metre: float
    torque_clip: tuple[int, ...]  # (16,) counts
    periods: tuple[int, int, int]  # ms; periods of position, IMU and temperature frames
    full_counts: int  # counts; largest torque that the motors can produce
    halved_if_geared_b: tuple[int, ...] = ()
    """Joints, 0 to 15, whose torque counts are half as large in hands of gear type B."""
    streams_when_on: bool = False
    """Whether the hand sends angles only while its motors are on; one owner of a V5 hand."""
    side_in_serial: bool = False
    """Whether the side is in the serial number and not in HAND_INFO, which may go unanswered."""


V4 = Version(
    name="v4",
    rad_per_count=float(np.deg2rad(333.3 / 65536)),  # v4_spec.hpp, data_position_t
    counts_per_newton_metre=FULL_PWM / FULL_TORQUE,
    torque_clip=PWM_CLIP,
    periods=(3, 0, 500),  # v4_spec.hpp, *_SAMPLING_PERIOD
    full_counts=FULL_PWM,
)
V5 = Version(
    name="v5",
    rad_per_count=float(np.deg2rad(0.088)),
    counts_per_newton_metre=1.43 * 1000,
    torque_clip=(240,) * JOINTS,
    periods=(2, 0, 500),  # position: V5 driver; temperature: as V4
    full_counts=round(0.92 * 1430),  # stall torque of the manual V5 (4F) 1.3, section 3
    halved_if_geared_b=(1, 5, 9),
    streams_when_on=True,
    side_in_serial=True,
)
VERSIONS = {version.name: version for version in (V4, V5)}
"""Versions by name."""


def make_version(name: str) -> Version:
    """Look up a version by name; raise BadConfig for an unknown name."""
    if name not in VERSIONS:
        raise BadConfig(f"version is {name!r}; it can be {' or '.join(VERSIONS)}")
    return VERSIONS[name]


def finger_joints(finger: int) -> slice:
    """Return where the joints of a finger are in arrays in the vendor's order, (16,)."""
    return slice(JOINTS_EACH * finger, JOINTS_EACH * (finger + 1))


# Ids.


def frame_id(message: int, device: int) -> int:
    """Return the arbitration id of a message for or from a device."""
    return message << DEVICE_BITS | device


def split_id(arbitration_id: int) -> tuple[int, int]:
    """Return message id and device; inverse of `frame_id`."""
    return arbitration_id >> DEVICE_BITS, arbitration_id & (len(DEVICES) - 1)


# Units; arrays of counts are int64 so that no sum of them overflows.


def rad_from_counts(counts: IntArray, version: Version) -> Array:
    """Convert position counts to angles, rad."""
    return counts.astype(np.float64) * version.rad_per_count


def counts_from_rad(angle: Array, version: Version) -> IntArray:
    """Convert angles, rad, to the nearest position counts within int16."""
    return _counts(angle / version.rad_per_count)


def torque_scale(version: Version, geared_b: bool = False) -> Array:
    """Return the torque scales of all joints, (16,) counts per N m."""
    scale = np.full(JOINTS, version.counts_per_newton_metre)
    if geared_b:
        scale[list(version.halved_if_geared_b)] /= 2
    return scale


def torque_from_counts(counts: IntArray, scale: Array) -> Array:
    """Convert counts to torques, N m; `scale` comes from `torque_scale`."""
    return counts.astype(np.float64) / scale


def counts_from_torque(torque: Array, scale: Array) -> IntArray:
    """Convert torques, N m, to the nearest counts within int16."""
    return _counts(torque * scale)


def _counts(value: Array) -> IntArray:
    return np.clip(np.rint(value), INT16.min, INT16.max).astype(np.int64)


# Payloads.


def pack_counts(counts: IntArray | NDArray[np.int16]) -> bytes:
    """Pack four position or torque counts of one finger."""
    return np.asarray(counts).astype("<i2").tobytes()


def unpack_counts(data: bytes) -> IntArray:
    """Unpack four counts, (4,); raise ValueError for a wrong length."""
    return np.array(struct.unpack("<4h", _of_length(data, 8)), dtype=np.int64)


def pack_periods(periods: tuple[int, int, int]) -> bytes:
    """Pack the periods of position, IMU and temperature frames, ms."""
    return struct.pack("<3H", *periods)


def unpack_periods(data: bytes) -> tuple[int, int, int]:
    """Unpack three periods, ms; two additional bytes, as in the wiki, are ignored."""
    if len(data) == 8:
        data = data[:6]
    position, imu, temperature = struct.unpack("<3H", _of_length(data, 6))
    return position, imu, temperature


def pack_temperatures(temperature: Array | IntArray) -> bytes:
    """Pack four temperatures of one finger, rounded to whole degrees Celsius."""
    return bytes(int(value) for value in np.clip(np.rint(temperature), 0, 255))


def unpack_temperatures(data: bytes) -> Array:
    """Unpack four temperatures, degrees Celsius, (4,); raise ValueError for a wrong length."""
    return np.frombuffer(_of_length(data, 4), dtype=np.uint8).astype(np.float64)


class Status(IntFlag):
    """Status bits of HAND_INFO."""

    SERVO_ON = 1 << 0
    HIGH_TEMPERATURE = 1 << 1
    INTERNAL_COMMUNICATION = 1 << 2


class MotorError(IntFlag):
    """Bits of ERROR, as in a Dynamixel servo's hardware error; V5 manual, section 11.3.10."""

    INPUT_VOLTAGE = 1 << 0
    OVERHEATING = 1 << 2
    ELECTRICAL_SHOCK = 1 << 4
    OVERLOAD = 1 << 5


def pack_error(motor: int, bits: int) -> bytes:
    """Return the payload of ERROR."""
    return bytes((motor, bits))


def unpack_error(data: bytes) -> tuple[int, int]:
    """Return motor and bits of ERROR; raise ValueError for a wrong length."""
    motor, bits = _of_length(data, 2)
    return motor, bits


def describe_error(bits: int) -> str:
    """Return the names of the bits of ERROR."""
    names = [bit.name.lower().replace("_", " ") for bit in MotorError if bits & bit and bit.name]
    unknown = bits & ~sum(MotorError)
    return ", ".join(names + [f"unknown bits {unknown:#x}"] * bool(unknown))


SIDES = ("right", "left")
"""Sides by their number in the HAND_INFO of a V4 hand."""


@dataclass(frozen=True, slots=True)
class HandInfo:
    """Payload of HAND_INFO."""

    hardware: int
    firmware: int
    side: int  # index into SIDES
    temperature: int  # degrees Celsius; main board
    status: Status

    def pack(self) -> bytes:
        """Return the payload."""
        return struct.pack(
            "<HHBBB", self.hardware, self.firmware, self.side, self.temperature, int(self.status)
        )

    @classmethod
    def unpack(cls, data: bytes) -> "HandInfo":
        """Build from a payload; raise ValueError for a wrong length."""
        hardware, firmware, side, temperature, status = struct.unpack("<HHBBB", _of_length(data, 7))
        return cls(hardware, firmware, side, temperature, Status(status))


@dataclass(frozen=True, slots=True)
class Serial:
    """Serial number of a hand; that of a V5 hand contains gear type and side."""

    text: str

    def pack(self) -> bytes:
        """Return the payload of SERIAL."""
        return self.text.encode("ascii").ljust(8, b"\0")

    @classmethod
    def unpack(cls, data: bytes) -> "Serial":
        """Build from a payload; raise ValueError for a wrong length or non-ASCII bytes."""
        return cls(_of_length(data, 8).decode("ascii").rstrip("\0"))

    @property
    def is_v5(self) -> bool:
        """Return whether gear type and side are at the positions of a V5 hand."""
        return self.text[2:3] in ("A", "B") and self.text[3:4] in ("R", "L")

    @property
    def side(self) -> str:
        """Return the side of a V5 hand, its fourth character; empty for other hands."""
        return {"R": "right", "L": "left"}[self.text[3]] if self.is_v5 else ""

    @property
    def geared_b(self) -> bool:
        """Return whether the hand is a V5 hand of gear type B."""
        return self.is_v5 and self.text[2] == "B"


def _of_length(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise ValueError(f"the payload has {len(data)} bytes; it must have {length}")
    return data
