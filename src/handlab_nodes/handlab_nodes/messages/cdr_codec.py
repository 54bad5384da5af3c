"""The messages of every step, packed and unpacked without a message object in between.

Making a message object and converting it to C and back is most of what a step through the graph
costs in Python. The streams' messages always have the same names and lengths, so their serialised
form always has the same size and the same offsets: a message is bytes in which a few numbers are
replaced. On the wire it is the ordinary message of its type.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState as JointStateMsg

from handlab_core.estimation.angle import AngleEstimate
from handlab_core.types import NS_PER_S, Array, Command, JointState, ObjectEstimate, Reward
from handlab_interfaces import msg as wire
from handlab_nodes.messages import convert

CODES = {"double": "d", "uint32": "I", "int64": "q", "boolean": "?"}
"""Types of numeric fields to struct codes."""

STAMP = struct.Struct("<iI")

ENCAPSULATION = 4
"""Bytes before a message's first field; alignment is counted from behind them (OMG CDR, XCDR1)."""


SLACK = 8
"""Bytes that the serialiser of message objects may leave unused at the end."""

LARGEST = 1e9
"""Radians, radians a second, newton metres; a larger number is no measurement."""


class FixedLayout:
    """The serialised form of messages of one shape.

    Between fields there may be padding, which holds anything; only numbers, strings and lengths are
    looked at.

    Args:
        prototype: a message whose first field is a header, with its final names and lengths.

    Raises:
        TypeError: it has a field of a type that no stream has.
    """

    def __init__(self, prototype: Any) -> None:
        self._kind = type(prototype)
        self._places: dict[str, tuple[int, struct.Struct, int]] = {}  # offset, form, count
        self._fixed: list[tuple[int, int]] = []  # begin and end of what never changes
        self._at = ENCAPSULATION + 8  # behind the stamp
        self._walk_string(prototype.header.frame_id)
        for name, kind in list(prototype.get_fields_and_field_types().items())[1:]:
            self._walk(name, kind, getattr(prototype, name))
        # Behind an empty sequence of doubles the serialiser reserves bytes that it does not use;
        # strict readers of recorded messages refuse them.
        self._template = serialize_message(prototype)[: self._at]
        self._buffer = bytearray(self._template)

    def pack(self, stamp_ns: int, **values: Any) -> bytes:
        """Serialise; arrays are given as float64 bytes."""
        buffer = self._buffer
        STAMP.pack_into(buffer, ENCAPSULATION, *divmod(stamp_ns, NS_PER_S))
        for name, value in values.items():
            offset, form, _ = self._places[name]
            if isinstance(value, bytes):
                buffer[offset : offset + form.size] = value
            else:
                form.pack_into(buffer, offset, value)
        return bytes(buffer)

    def fits(self, data: bytes) -> bool:
        """Whether a message has this very shape: same size but for slack, names, lengths."""
        template = self._template
        return 0 <= len(data) - len(template) <= SLACK and all(
            data[a:b] == template[a:b] for a, b in self._fixed
        )

    def check(self, data: bytes) -> None:
        """Refuse a message of another shape.

        Raises:
            ValueError: names the message type and both sizes.
        """
        if not self.fits(data):
            raise ValueError(
                f"a {self._kind.__name__} of {len(data)} bytes; this graph's has "
                f"{len(self._template)}, with other lengths or names"
            )

    def stamp(self, data: bytes) -> float:
        """Return the header's stamp [s]; ValueError if it is no time."""
        return _seconds(*STAMP.unpack_from(data, ENCAPSULATION))

    def offset(self, name: str) -> int:
        """Return where a field's numbers begin; bytes."""
        return self._places[name][0]

    def numbers(self, data: bytes, name: str) -> Array:
        """An array field; (1, n)."""
        offset, _, count = self._places[name]
        return np.frombuffer(data, np.float64, count, offset)[None, :].copy()

    def scalar(self, data: bytes, name: str) -> Any:
        """A scalar field."""
        offset, form, _ = self._places[name]
        return form.unpack_from(data, offset)[0]

    def message(self, data: bytes) -> Any:
        """The message object, for messages of another shape."""
        return deserialize_message(data, self._kind)

    def _walk(self, name: str, kind: str, value: Any) -> None:
        """Pass one field and note where it is."""
        if kind == "sequence<string>":
            self._walk_length()
            for text in value:
                self._walk_string(text)
        elif kind == "sequence<double>":
            self._walk_length()
            if value:
                self._walk_number(name, f"<{len(value)}d", 8, len(value))
        elif kind in CODES:
            form = f"<{CODES[kind]}"
            self._walk_number(name, form, struct.calcsize(form), 1)
        else:
            raise TypeError(f"{self._kind.__name__}.{name} is a {kind}")

    def _walk_number(self, name: str, form: str, alignment: int, count: int) -> None:
        self._align(alignment)
        self._places[name] = self._at, struct.Struct(form), count
        self._at += struct.calcsize(form)

    def _walk_length(self) -> None:
        self._align(4)
        self._note(4)

    def _walk_string(self, text: str) -> None:
        self._align(4)
        self._note(4 + len(text.encode()) + 1)  # length, characters, a zero

    def _note(self, size: int) -> None:
        """What is here never changes."""
        if self._fixed and self._fixed[-1][1] == self._at:
            self._fixed[-1] = self._fixed[-1][0], self._at + size
        else:
            self._fixed.append((self._at, self._at + size))
        self._at += size

    def _align(self, size: int) -> None:
        self._at += -(self._at - ENCAPSULATION) % size


def _ns(stamp: Array) -> int:
    return round(float(stamp[0]) * NS_PER_S)


def _seconds(sec: int, nanosec: int) -> float:
    if sec < 0 or nanosec >= NS_PER_S:
        raise ValueError(f"its stamp of {sec} s and {nanosec} ns is no time")
    return (sec * NS_PER_S + nanosec) / NS_PER_S


def _check_numbers(values: Iterable[float]) -> None:
    """Refuse NaN, infinity and numbers beyond LARGEST; a sum finds the first two fastest."""
    if not (math.isfinite(sum(values)) and max(values) <= LARGEST and min(values) >= -LARGEST):
        raise ValueError(f"it holds a number that is not finite, or is beyond {LARGEST:g}")


class JointStates:
    """Readings of one group of joints."""

    def __init__(self, names: Sequence[str]) -> None:
        zero = [0.0] * len(names)
        prototype = JointStateMsg(name=list(names), position=zero, velocity=zero, effort=zero)
        self._names, self._layout = list(names), FixedLayout(prototype)
        # Between two arrays are the length of the second, 4 bytes, and 4 bytes of padding.
        self._numbers = struct.Struct("<" + "8x".join([f"{len(names)}d"] * 3))
        self._begin = self._layout.offset("position")

    def pack(self, state: JointState) -> bytes:
        """Serialise one robot's reading."""
        return self._layout.pack(
            _ns(state.stamp),
            position=state.q.tobytes(),
            velocity=state.qd.tobytes(),
            effort=state.effort.tobytes(),
        )

    def unpack(self, data: bytes) -> JointState:
        """Read a driver's message.

        Raises:
            ValueError: its stamp is no time, its joints are others, or a number is not finite.
        """
        layout = self._layout
        if not layout.fits(data):
            return convert.joint_state(layout.message(data), self._names)
        values = self._numbers.unpack_from(data, self._begin)
        _check_numbers(values)
        q, qd, effort = np.array(values).reshape(3, 1, -1)
        return JointState(np.array([layout.stamp(data)]), q, qd, effort)


class Commands:
    """Commands for one group of joints."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, zero = list(names), [0.0] * len(names)
        prototype = JointStateMsg(name=self._names, position=zero, effort=zero)
        self._layout = FixedLayout(prototype)

    def pack(self, command: Command, stamp: float) -> bytes:
        """Serialise one robot's command for the time `stamp` [s]."""
        q, effort = command.q.tobytes(), command.effort.tobytes()
        return self._layout.pack(round(stamp * NS_PER_S), position=q, effort=effort)

    def unpack(self, data: bytes) -> tuple[Command, float]:
        """Read any node's command and its stamp [s]; see `convert.command`.

        Raises:
            ValueError: its stamp is no time, or see `convert.command`.
        """
        layout = self._layout
        if not layout.fits(data):
            message = layout.message(data)
            stamp = convert.checked_stamp(message.header.stamp)
            return convert.command(message, self._names), stamp
        q, effort = layout.numbers(data, "position"), layout.numbers(data, "effort")
        return Command(q, effort), layout.stamp(data)


class ObjectStates:
    """Estimates of the object."""

    def __init__(self) -> None:
        self._layout = FixedLayout(wire.ObjectState())

    def pack(self, x: AngleEstimate) -> bytes:
        """Serialise an estimate."""
        return self._layout.pack(
            round(x.stamp * NS_PER_S),
            angle=x.angle,
            velocity=x.velocity,
            angle_variance=x.angle_variance,
            velocity_variance=x.velocity_variance,
            rejections=x.rejections,
        )

    def unpack(self, data: bytes) -> ObjectEstimate:
        """Read an estimate, as far as rewards and policies look at it.

        Raises:
            ValueError: its stamp is no time, or a number is not finite.
        """
        layout = self._layout
        if layout.fits(data):
            stamp = layout.stamp(data)
            numbers = layout.scalar(data, "angle"), layout.scalar(data, "velocity")
        else:
            message = layout.message(data)
            stamp = convert.checked_stamp(message.header.stamp)
            numbers = message.angle, message.velocity
        _check_numbers(numbers)
        return ObjectEstimate(*np.array([[stamp], [numbers[0]], [numbers[1]]]))


class Rewards:
    """Rewards of a task.

    Args:
        terms: number of reward terms.
    """

    def __init__(self, terms: int) -> None:
        self._layout = FixedLayout(wire.Reward(terms=[0.0] * terms))

    def pack(self, reward: Reward, episode: int, stamp: Array) -> bytes:
        """Serialise one robot's reward of a stamp."""
        return self._layout.pack(
            _ns(stamp),
            episode=episode,
            total=float(reward.total[0]),
            terms=reward.terms.tobytes(),
            error=float(reward.error[0]),
            success=bool(reward.success[0]),
        )

    def unpack(self, data: bytes) -> Reward:
        """Read a reward.

        Raises:
            ValueError: the message has another number of terms.
        """
        layout = self._layout
        layout.check(data)
        total, error, success = (layout.scalar(data, n) for n in ("total", "error", "success"))
        terms = layout.numbers(data, "terms")
        return Reward(np.array([total]), terms, np.array([error]), np.array([success]))

    def key(self, data: bytes) -> tuple[int, float]:
        """Return the episode that a reward belongs to, and its stamp [s].

        Raises:
            ValueError: the message has another number of terms.
        """
        self._layout.check(data)
        return self._layout.scalar(data, "episode"), self._layout.stamp(data)

    def keyed(self, data: bytes) -> tuple[int, float, bytes]:
        """Return what `key` returns, and the message."""
        return *self.key(data), data
