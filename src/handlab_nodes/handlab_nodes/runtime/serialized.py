"""Take serialised messages together with the identity of their publisher.

rclpy returns a message without its publisher. The layer below knows it: rcl fills in
`rmw_message_info_t.publisher_gid`, the same sixteen bytes that `get_publishers_info_by_topic` lists
for every publisher of a topic. So a message is taken by a direct call of rcl; it costs the same
2.5 us as rclpy's own call.
"""

import ctypes
from functools import cache

TAKE_FAILED = 401
"""RCL_RET_SUBSCRIPTION_TAKE_FAILED in rcl/types.h: there is no message, and no error text."""

GID_SIZE = 16
"""Bytes; RMW_GID_STORAGE_SIZE in rmw/types.h of ROS 2 Jazzy and Kilted."""

USUAL = 1 << 20
"""Bytes; a buffer that a larger message made grow is made again."""

LONGEST = 1 << 26
"""Bytes; a longer message is not copied. The longest ones of a graph, policies and episodes, have
some hundred thousand."""


OPTIONS = slice(2, 4)
"""Bytes of the options in a message's encapsulation header. They have no meaning in plain CDR:
senders set them to zero, receivers ignore them (OMG RTPS 2.5, 10.2)."""

REPETITION = b"\x80\x00"
"""Options of a message that its publisher has sent before."""


REPEATED = 4
"""Messages that a stream repeats. In lockstep the world is at most two states further than the
oldest one that a node may still wait for."""


def repetition(data: bytes) -> bytes:
    """Return a message marked as a repetition; every reader decodes it as before."""
    return data[: OPTIONS.start] + REPETITION + data[OPTIONS.stop :]


def first_form(data: bytes) -> bytes:
    """Return a repetition as its message was first."""
    return data[: OPTIONS.start] + b"\x00\x00" + data[OPTIONS.stop :]


class _Allocator(ctypes.Structure):
    """`rcutils_allocator_t`."""

    _fields_ = [
        (name, ctypes.c_void_p)
        for name in ("allocate", "deallocate", "reallocate", "zero_allocate", "state")
    ]


class _Bytes(ctypes.Structure):
    """`rcutils_uint8_array_t`, which is what `rcl_serialized_message_t` stands for."""

    _fields_ = [
        ("buffer", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
        ("allocator", _Allocator),
    ]


class _Info(ctypes.Structure):
    """`rmw_message_info_t`, with room behind it for what a later release may append."""

    _fields_ = [
        ("source_timestamp", ctypes.c_int64),
        ("received_timestamp", ctypes.c_int64),
        ("publication_sequence_number", ctypes.c_uint64),
        ("reception_sequence_number", ctypes.c_uint64),
        ("gid_implementation", ctypes.c_char_p),
        ("gid", ctypes.c_uint8 * GID_SIZE),
        ("from_intra_process", ctypes.c_bool),
        ("spare", ctypes.c_uint8 * 64),
    ]


class Taker:
    """Takes messages of the subscriptions of one thread."""

    def __init__(self) -> None:
        self._rcl, self._rcutils = _libraries()
        self._bytes, self._info = _Bytes(), _Info()
        self._bytes.allocator = self._rcutils.rcutils_get_default_allocator()
        self._message = ctypes.c_void_p(ctypes.addressof(self._bytes))
        self._about = ctypes.c_void_p(ctypes.addressof(self._info))
        gid = _Info.gid.offset
        self._gid = memoryview(self._info).cast("B")[gid : gid + GID_SIZE]
        self._take = self._rcl.rcl_take_serialized_message

    def take(self, subscription: int) -> tuple[bytes, bytes, int] | None:
        """Take the oldest message.

        Args:
            subscription: address of an `rcl_subscription_t`.

        Returns:
            The message, its publisher's GID and the publisher's own count of its messages; None if
            there is no message. A message that is longer than LONGEST comes out empty.
        """
        if code := self._take(subscription, self._message, self._about, None):
            if code != TAKE_FAILED:
                self._rcutils.rcutils_reset_error()
            return None
        taken, gid = self._bytes, self._gid.tobytes()
        data = ctypes.string_at(taken.buffer, taken.length) if taken.length <= LONGEST else b""
        if taken.capacity > USUAL:
            self._release()
        return data, gid, self._info.publication_sequence_number

    def __del__(self) -> None:
        """Release the buffer."""
        self._release()

    def _release(self) -> None:
        if self._bytes.buffer:
            self._rcutils.rcutils_uint8_array_fini(self._message)
            self._bytes.length = self._bytes.capacity = 0
            self._bytes.buffer = None
            self._bytes.allocator = self._rcutils.rcutils_get_default_allocator()


@cache
def _libraries() -> tuple[ctypes.PyDLL, ctypes.PyDLL]:
    """Load rcl and rcutils, which rclpy has loaded before; calls keep the GIL, as rclpy's do."""
    rcl, rcutils = ctypes.PyDLL("librcl.so"), ctypes.PyDLL("librcutils.so")
    rcl.rcl_take_serialized_message.argtypes = [ctypes.c_void_p] * 4
    rcutils.rcutils_get_default_allocator.restype = _Allocator
    rcutils.rcutils_uint8_array_fini.argtypes = [ctypes.c_void_p]
    return rcl, rcutils
