"""The messages of every step, packed and unpacked without a message object in between.

Most of the Python time of a step through the graph is spent on making message objects and
converting them to C and back. The streams' messages always have the same names and lengths. So
their serialised form always has the same size and offsets: a message is a template of bytes in
which a few numbers are replaced. On the wire it is an ordinary message of its type.
"""

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
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
"""rad, rad/s, N m; a larger number is not a measurement."""


class FixedLayout:
    """The serialised form of messages of one shape.

    Padding between fields may hold any bytes; only numbers, strings and lengths are compared.

    Args:
        prototype: a message whose first field is a header, with its final names and lengths.

    Raises:
        TypeError: it has a field of a type that no stream has.
    """

    def __init__(self, prototype: Any) -> None:
        self._kind = type(prototype)
        self._places: dict[str, tuple[int, struct.Struct, int]] = {}  # offset, form, count
        self._fixed: list[tuple[int, int]] = []  # begin and end of constant bytes
        self._at = ENCAPSULATION + 8  # behind the stamp
        self._walk_string(prototype.header.frame_id)
        for name, kind in list(prototype.get_fields_and_field_types().items())[1:]:
            self._walk(name, kind, getattr(prototype, name))
        # Behind an empty sequence of doubles the serialiser reserves bytes that it does not use;
        # strict readers of recorded messages refuse them.
        self._template = serialize_message(prototype)[: self._at]
        self._buffer = bytearray(self._template)
        self._least, self._most = self._at, self._at + SLACK
        self._whole, self._is_fixed, self._numbers, self._slices = self._compile()
        self._constant = tuple(compress(self._whole.unpack(self._template), self._is_fixed))
        self._between = list(self._find_gaps())

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

    def split(self, data: bytes) -> tuple[Any, ...] | None:
        """Return seconds, nanoseconds and all numbers of a message of this very shape; else None.

        The shape is the same size but for slack, and the same names and lengths. One call of
        `struct` for a whole message is several times faster than one call for each field. Messages
        of this class have its padding too, so that all between the numbers is compared at once.
        """
        if not self._least <= len(data) <= self._most:
            return None
        for where, fixed in self._between:
            if data[where] != fixed:
                values = compress(self._whole.unpack_from(data), self._is_fixed)
                if tuple(values) != self._constant:
                    return None
                break
        return self._numbers.unpack_from(data)

    def where(self, name: str) -> slice:
        """Return where a field's numbers are among those of `split`."""
        return self._slices[name]

    def checked(self, data: bytes) -> tuple[Any, ...]:
        """Return what `split` returns; refuse a message of another shape.

        Raises:
            ValueError: names the message type and both sizes.
        """
        values = self.split(data)
        if values is None:
            raise ValueError(
                f"a {self._kind.__name__} of {len(data)} bytes; this graph's has "
                f"{len(self._template)}, with other lengths or names"
            )
        return values

    def message(self, data: bytes) -> Any:
        """Deserialise a message of another shape."""
        return deserialize_message(data, self._kind)

    def _compile(self) -> tuple[struct.Struct, list[bool], struct.Struct, dict[str, slice]]:
        """Return the form of a whole message, which of its values are constant, and its numbers.

        Returns:
            The form with the constant bytes, and which of its values they are; the form without
            them, and where each field is among its values.
        """
        parts: list[tuple[int, int, str, str]] = [
            (begin, end - begin, f"{end - begin}s", "") for begin, end in self._fixed
        ]
        for name, (offset, form, _) in self._places.items():
            parts.append((offset, form.size, form.format.lstrip("<"), name))
        whole = numbers = f"<{ENCAPSULATION}xiI"
        at = read = ENCAPSULATION + STAMP.size
        is_fixed, slices, count = [False, False], {}, 2
        for offset, size, letters, name in sorted(parts):
            whole += f"{offset - at}x{letters}"
            at = offset + size
            values = self._places[name][2] if name else 1
            is_fixed += [not name] * values
            if name:
                numbers += f"{offset - read}x{letters}"
                read = at
                slices[name] = slice(count, count + values)
                count += values
        return struct.Struct(whole), is_fixed, struct.Struct(numbers), slices

    def _find_gaps(self) -> Iterator[tuple[slice, bytes]]:
        """Return where the bytes between the numbers are, and what they are in the template."""
        at = ENCAPSULATION + STAMP.size
        for offset, form, _ in sorted(self._places.values(), key=lambda place: place[0]):
            if offset > at:
                yield slice(at, offset), self._template[at:offset]
            at = offset + form.size
        if self._at > at:
            yield slice(at, self._at), self._template[at:]

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
        """Note the next `size` bytes as constant."""
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
        values = self._layout.split(data)
        if values is None:
            return convert.joint_state(self._layout.message(data), self._names)
        sec, nanosec, *numbers = values  # position, velocity, effort
        _check_numbers(numbers)
        stamp = np.array([_seconds(sec, nanosec)])
        return JointState(stamp, *np.array(numbers).reshape(3, 1, -1))


class Commands:
    """Commands for one group of joints."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, zero = list(names), [0.0] * len(names)
        prototype = JointStateMsg(name=self._names, position=zero, effort=zero)
        self._layout = FixedLayout(prototype)
        self._at = [self._layout.where(name) for name in ("position", "effort")]

    def pack(self, command: Command, stamp: float) -> bytes:
        """Serialise one robot's command for the time `stamp` [s]."""
        q, effort = command.q.tobytes(), command.effort.tobytes()
        return self._layout.pack(round(stamp * NS_PER_S), position=q, effort=effort)

    def unpack(self, data: bytes) -> tuple[Command, float]:
        """Read any node's command and its stamp [s]; see `convert.command`.

        Raises:
            ValueError: its stamp is no time, or see `convert.command`.
        """
        values = self._layout.split(data)
        if values is None:
            message = self._layout.message(data)
            stamp = convert.checked_stamp(message.header.stamp)
            return convert.command(message, self._names), stamp
        q, effort = (np.array([values[at]]) for at in self._at)
        return Command(q, effort), _seconds(values[0], values[1])


class ObjectStates:
    """Estimates of the object."""

    def __init__(self) -> None:
        self._layout = layout = FixedLayout(wire.ObjectState())
        self._angle = layout.where("angle").start
        self._velocity = layout.where("velocity").start

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
        """Read stamp, angle and velocity of an estimate; rewards and policies use no other field.

        Raises:
            ValueError: its stamp is no time, or a number is not finite.
        """
        layout = self._layout
        if (values := layout.split(data)) is not None:
            stamp = _seconds(values[0], values[1])
            numbers = values[self._angle], values[self._velocity]
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
        self._layout = layout = FixedLayout(wire.Reward(terms=[0.0] * terms))
        self._at = [layout.where(name) for name in ("total", "error", "success")]
        self._terms = layout.where("terms") if terms else slice(0, 0)
        self._episode = layout.where("episode").start

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
        values = self._layout.checked(data)
        total, error, success = (np.array(values[at]) for at in self._at)
        return Reward(total, np.array([values[self._terms]]), error, success)

    def key(self, data: bytes) -> tuple[int, float]:
        """Return the episode that a reward belongs to, and its stamp [s].

        Raises:
            ValueError: the message has another number of terms.
        """
        values = self._layout.checked(data)
        return values[self._episode], _seconds(values[0], values[1])

    def keyed(self, data: bytes) -> tuple[int, float, bytes]:
        """Return the result of `key`, and the message."""
        return *self.key(data), data
