"""Decode the messages of a bag of demonstrations, and gather them to streams. Needs no ROS.

Every refusal names the topic, the message by its place on that topic, and the joint.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from handlab_core.errors import BadDemonstrations
from handlab_core.types import NS_PER_S, Array, JointState, ObjectEstimate
from handlab_data.storage.limits import MAX_DEFINITION
from handlab_data.storage.topic import Topic

HAND_STATES, FIXTURE_STATES = "hand/joint_states", "fixture/joint_states"
OBJECT_STATE, GOAL = "object/state", "episode_goal"
SESSION, MARK = "demonstration/session", "demonstration/mark"
"""Ends of the topics' names, as in `handlab_nodes.messages.topics`, which needs no ROS either."""

HEADER = {"header": "std_msgs/msg/Header"}
NEEDED: dict[str, tuple[str, dict[str, str]]] = {
    HAND_STATES: ("sensor_msgs/msg/JointState", {}),
    FIXTURE_STATES: ("sensor_msgs/msg/JointState", {}),
    OBJECT_STATE: (
        "handlab_interfaces/msg/ObjectState",
        HEADER | {"angle": "float64", "velocity": "float64"},
    ),
    GOAL: (
        "handlab_interfaces/msg/EpisodeGoal",
        HEADER | {"episode": "int64", "angle": "float64[]", "velocity": "float64[]"},
    ),
    SESSION: (
        "handlab_interfaces/msg/DemonstrationSession",
        dict.fromkeys(
            ("task", "hand", "object", "hardware", "pace", "teacher", "calibration"), "string"
        )
        | {"joints": "string[]", "period": "float64"},
    ),
    MARK: (
        "handlab_interfaces/msg/DemonstrationMark",
        HEADER
        | {"episode": "int64", "kind": "uint8", "seed": "uint64", "reset_s": "float64"}
        | {"reset_attempts": "uint32", "reason": "string"},
    ),
}
"""Type of each topic, and the fields of it that are read; ROS 2's own types are known."""

SHOWN = 5
"""Names; longest list within an error message."""


def place(topic: str, ends: Iterable[str] = NEEDED) -> tuple[str, str] | None:
    """Split a topic's name into the namespace of the robot and one of some ends."""
    rooted = f"/{topic.lstrip('/')}"
    for end in ends:
        if rooted.endswith(f"/{end}"):
            return rooted.removesuffix(f"/{end}") or "/", end
    return None


def seconds(stamp: Any) -> float:
    """Return the time of a stamp in s."""
    return float((stamp.sec * NS_PER_S + stamp.nanosec) / NS_PER_S)


class Decoder:
    """Decodes messages with the definitions that the bag brings along."""

    def __init__(self) -> None:
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._checked: set[Topic] = set()
        self._count: Counter[str] = Counter()

    def decode(self, topic: Topic, end: str, data: bytes) -> Any:
        """Decode one message.

        Args:
            topic: as its file declares it.
            end: end of the topic's name, a key of NEEDED.
            data: the message in CDR.

        Raises:
            BadDemonstrations: the topic has another type, or the data is not of that type.
        """
        if topic not in self._checked:
            self._check(topic, end)
            self._checked.add(topic)
        self._count[topic.name] += 1
        try:
            message = self._types.deserialize_cdr(data, topic.type)
        except Exception as error:  # the generated code raises whatever the bytes lead to
            raise self.bad(topic.name, f"cannot be decoded ({error})") from error
        header = getattr(message, "header", None)
        if header is not None and not (
            header.stamp.sec >= 0 and 0 <= header.stamp.nanosec < NS_PER_S
        ):
            raise self.bad(topic.name, f"has the impossible stamp {header.stamp}")
        return message

    def bad(self, topic: str, why: str) -> BadDemonstrations:
        """Make the error that refuses the newest message of a topic."""
        return BadDemonstrations(f"message {self._count[topic]} on {topic} {why}")

    def _check(self, topic: Topic, end: str) -> None:
        """Refuse a topic that is not encoded or defined as it must be."""
        name, fields = NEEDED[end]
        if topic.type != name:
            raise BadDemonstrations(f"{topic.name} is of type {topic.type or 'none'}, not {name}")
        if topic.encoding != "cdr":
            raise BadDemonstrations(
                f"{topic.name} is encoded as {topic.encoding or 'nothing'}; only cdr can be read"
            )
        if name in self._types.fielddefs:
            return
        found = _definitions(topic)
        described = {field: _type_name(kind) for field, kind in found[name][1]}
        for needed, kind in fields.items():
            if described.get(needed) != kind:
                raise BadDemonstrations(
                    f"{topic.name}: the bag's definition of {name} has "
                    f"{described.get(needed) or 'no field'} {needed}, and {kind} is needed: it "
                    "was recorded with another version"
                )
        nested = {kind for kind in described.values() if "/" in kind} - set(self._types.fielddefs)
        if nested:
            raise BadDemonstrations(
                f"{topic.name}: the bag's definition of {name} has fields of unknown types: "
                f"{', '.join(sorted(nested)[:SHOWN])}"
            )
        self._types.register({name: found[name]})


def _definitions(topic: Topic) -> Any:
    """Parse the definition that comes with a topic, or take our own where there is none."""
    if not topic.definition_format:
        return {topic.type: _own_types().fielddefs[topic.type]}
    known = topic.definition_format in ("ros2msg", "ros2idl")
    if not known or len(topic.definition) > MAX_DEFINITION:
        raise BadDemonstrations(
            f"{topic.name}: its definition must be ros2msg or ros2idl of up to {MAX_DEFINITION} "
            f"characters, and is {topic.definition_format} of {len(topic.definition)}"
        )
    try:
        if topic.definition_format == "ros2idl":
            found = get_types_from_idl(topic.definition)
        else:
            found = get_types_from_msg(topic.definition, topic.type)
    except Exception as error:  # a parser of text from anywhere
        raise BadDemonstrations(
            f"{topic.name}: the bag's definition of {topic.type} cannot be parsed"
        ) from error
    if topic.type not in found:
        raise BadDemonstrations(f"{topic.name}: the bag does not define {topic.type}")
    return found


@cache
def _own_types() -> Typestore:
    """Return definitions for bags without any: sqlite3 bags of rosbag2 before Iron."""
    from handlab_data.bag_writer import typestore

    return typestore()


def _type_name(kind: Any) -> str:
    """Write a field's type as a .msg file has it."""
    node, of = kind
    if node == Nodetype.BASE:
        return str(of[0])
    if node == Nodetype.NAME:
        return str(of)
    return f"{_type_name(of[0])}[{of[1] or ''}]"


class JointStream:
    """Messages of one JointState topic, whose joints may come in any order.

    Args:
        topic: its name.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._stamps = array("d")
        self._lacks_velocity, self._lacks_effort = array("b"), array("b")
        self._rows: dict[tuple[str, ...], tuple[array[int], array[float]]] = {}
        """Numbers and values of the messages, by the names of their joints."""

    def take(self, message: Any, decoder: Decoder) -> None:
        """Keep a message; BadDemonstrations if its arrays do not fit its names."""
        names, n = tuple(message.name), len(message.name)
        counts = len(message.position), len(message.velocity), len(message.effort)
        if not n or counts[0] != n or counts[1] not in (0, n) or counts[2] not in (0, n):
            raise decoder.bad(
                self._topic,
                f"has {n} names, {counts[0]} positions, {counts[1]} velocities and "
                f"{counts[2]} efforts",
            )
        if len(set(names)) < n:
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise decoder.bad(self._topic, f"has the joint {twice} twice")
        at, values = self._rows.setdefault(names, (array("q"), array("d")))
        at.append(len(self._stamps))
        self._stamps.append(seconds(message.header.stamp))
        self._lacks_velocity.append(not counts[1])
        self._lacks_effort.append(not counts[2])
        for part in (message.position, message.velocity, message.effort):
            values.frombytes(np.asarray(part if len(part) else np.zeros(n), np.float64).tobytes())

    def lacking(self) -> list[str]:
        """Return a sentence for each quantity that some messages lack."""
        lacks = {
            "velocities are missing; differences of positions are used": self._lacks_velocity,
            "efforts are missing; 0 is used": self._lacks_effort,
        }
        return [f"{self._topic}: {text}" for text, flags in lacks.items() if any(flags)]

    def joint_state(self, joints: tuple[str, ...]) -> JointState:
        """Return all messages, one row each, with these joints in this order.

        Missing velocities are differences of positions, missing efforts are 0.

        Raises:
            BadDemonstrations: a message has not all of the joints; names them.
        """
        stamps = np.array(self._stamps, dtype=np.float64)
        values = np.empty((len(stamps), 3, len(joints)))
        for names, (at, flat) in self._rows.items():
            if absent := [joint for joint in joints if joint not in names]:
                raise BadDemonstrations(
                    f"message {at[0] + 1} on {self._topic} has no joint "
                    f"{', '.join(absent[:SHOWN])}; it has {', '.join(names[: 2 * SHOWN])}"
                )
            columns = [names.index(joint) for joint in joints]
            values[at] = np.array(flat).reshape(len(at), 3, len(names))[:, :, columns]
        position, velocity, effort = values.transpose(1, 0, 2)
        lacks = np.array(self._lacks_velocity, dtype=bool)
        if lacks.any():
            velocity[lacks] = differences(position, stamps)[lacks]
        return JointState(stamps, position.copy(), velocity.copy(), effort.copy())


def differences(position: Array, stamps: Array) -> Array:
    """Return velocities [rad/s], (N, n), from positions [rad], (N, n), at stamps [s], (N,).

    Each is the difference between the next and the previous position. It is 0 where no time passes.
    """
    if len(stamps) < 2:
        return np.zeros_like(position)
    rows = np.arange(len(stamps))
    after, before = np.minimum(rows + 1, len(rows) - 1), np.maximum(rows - 1, 0)
    elapsed = (stamps[after] - stamps[before])[:, None]
    moved = position[after] - position[before]
    return np.divide(moved, elapsed, out=np.zeros_like(moved), where=elapsed > 0)


class ObjectStream:
    """Messages of one ObjectState topic."""

    def __init__(self) -> None:
        self._values = array("d")

    def take(self, message: Any) -> None:
        """Keep a message."""
        self._values.extend((seconds(message.header.stamp), message.angle, message.velocity))

    def estimate(self) -> ObjectEstimate:
        """Return all messages, one row each."""
        return ObjectEstimate(*np.array(self._values, np.float64).reshape(-1, 3).T.copy())
