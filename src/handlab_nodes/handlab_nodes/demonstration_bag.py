"""Demonstrations in a bag: what was recorded, and the episodes it shows. Needs no ROS.

The bag is read from begin to end with the definitions it brings along, so one that was cut off, or
whose recorder died, gives the whole episodes before the cut.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mcap.exceptions import McapError
from mcap.records import Channel, Footer, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from handlab_core import rows
from handlab_core.demos.motion import DEFAULT_INFERENCE, Motion, to_episode
from handlab_core.episode import Episode
from handlab_core.errors import BadDemonstrations
from handlab_core.tasks import Task
from handlab_core.types import NS_PER_S, Array, Goal, JointState, ObjectEstimate

HAND_STATES, FIXTURE_STATES = "hand/joint_states", "fixture/joint_states"
OBJECT_STATE, GOAL = "object/state", "episode_goal"
SESSION, MARK = "demonstration/session", "demonstration/mark"
"""Ends of the topics' names, as in `handlab_nodes.topics`, which needs no ROS either."""

BEGAN, ENDED, ACCEPTED, DROPPED = range(4)
"""Kinds of marks, as in `DemonstrationMark.msg`."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """What a recording is of; see `DemonstrationSession.msg`."""

    task: str
    hand: str
    joints: tuple[str, ...]
    object: str
    period: float  # s
    hardware: str
    pace: str
    teacher: str
    calibration: str


@dataclass
class Recording:
    """All that a bag holds of demonstrations."""

    path: Path
    session: Session
    motions: dict[int, Motion] = field(default_factory=dict)
    """Those that were accepted, by number."""
    fixtures: dict[int, JointState] = field(default_factory=dict)
    """Readings of the object's joint during them, for whoever shows them."""
    dropped: dict[int, str] = field(default_factory=dict)
    """Why the others were not."""
    whole: bool = True
    """Nobody cut it off."""


def read_demonstrations(
    path: Path, task: Task, calibration: str | None = None, inference: str = DEFAULT_INFERENCE
) -> list[Episode]:
    """The episodes of a bag's accepted demonstrations.

    Args:
        path: of the bag, or of the MCAP file in it.
        task: that they must be of.
        calibration: of the station, which must be the bag's; None: whatever it was.
        inference: how actions are inferred; see `handlab_core.demos.inference`.

    Raises:
        BadDemonstrations: it is not a bag of this task, hand, rate or calibration, with the
            difference; or none of its demonstrations can be used, with the reasons.
    """
    recording = read_recording(path)
    check_session(recording, task, calibration)
    episodes, dropped = [], dict(recording.dropped)
    for number, motion in recording.motions.items():
        try:
            episodes.append(to_episode(motion, task, inference))
        except BadDemonstrations as error:
            dropped[number] = str(error)
            log.warning("%s: %s; it is left out", path, error)
    if not recording.whole:
        log.warning("%s was cut off; its %d whole episodes are used", path, len(episodes))
    if not episodes:
        reasons = [f"{number}: {why}" for number, why in sorted(dropped.items())]
        raise BadDemonstrations(
            f"{path} has no demonstration that can be used; "
            + ("; ".join(reasons) or "none was recorded")
        )
    return episodes


def check_session(recording: Recording, task: Task, calibration: str | None = None) -> None:
    """Refuse a bag of something else.

    Raises:
        BadDemonstrations: names every difference.
    """
    session = recording.session
    pairs = [
        ("task", session.task, task.name),
        ("hand", session.hand, task.hand_name),
        ("joints", ", ".join(session.joints), ", ".join(task.hand.joints)),
        ("object", session.object, task.fixture_name),
        ("control period", f"{session.period:g} s", f"{task.period:g} s"),
    ]
    if calibration is not None:
        pairs.append(("calibration", session.calibration, calibration))
    differences = [
        f"its {name} is {theirs or 'none'}, not {ours or 'none'}"
        for name, theirs, ours in pairs
        if theirs != ours
    ]
    if differences:
        raise BadDemonstrations(f"{recording.path} cannot be used here: {'; '.join(differences)}")


def read_recording(path: Path) -> Recording:
    """Read a bag.

    Raises:
        BadDemonstrations: there is none, or it has no session of demonstrations.
    """
    reader = _Reader(_mcap_file(path))
    for topic, message in reader.messages():
        reader.take(topic, message)
    if reader.session is None:
        raise BadDemonstrations(f"{path} is no recording of demonstrations: it has no {SESSION}")
    reader.finish()
    return Recording(
        path, reader.session, reader.motions, reader.fixtures, reader.dropped, reader.whole
    )


def _mcap_file(path: Path) -> Path:
    if path.is_file():
        return path
    files = sorted(path.glob("*.mcap"))
    if len(files) != 1:
        raise BadDemonstrations(f"{path} is no bag: a folder with one MCAP file is needed")
    return files[0]


class _Reader:
    """Goes through a file once and keeps what belongs to demonstrations."""

    def __init__(self, path: Path) -> None:
        self._path, self._types = path, get_typestore(Stores.ROS2_JAZZY)
        self.session: Session | None = None
        self.motions: dict[int, Motion] = {}
        self.fixtures: dict[int, JointState] = {}
        self.dropped: dict[int, str] = {}
        self.whole = False
        self._hands: list[Any] = []
        self._fixtures: list[Any] = []
        self._objects: list[Any] = []
        self._goals: dict[int, Goal] = {}
        self._began: dict[int, Any] = {}
        self._ended: dict[int, float] = {}
        self._accepted: list[int] = []

    def messages(self) -> Iterator[tuple[str, Any]]:
        """Topic and message, as far as the file goes; sets `whole`."""
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        with self._path.open("rb") as file:
            try:
                for record in StreamReader(file).records:
                    if isinstance(record, Schema):
                        schemas[record.id] = record
                        self._learn(record)
                    elif isinstance(record, Channel):
                        channels[record.id] = record
                    elif isinstance(record, Message):
                        channel = channels[record.channel_id]
                        if wanted := self._wanted(channel.topic):
                            name = schemas[channel.schema_id].name
                            yield wanted, self._types.deserialize_cdr(record.data, name)
                    elif isinstance(record, Footer):
                        self.whole = record.summary_start > 0
            except (McapError, ValueError, KeyError, EOFError) as error:
                log.debug("%s ends early: %r", self._path, error)

    def _learn(self, schema: Schema) -> None:
        types = get_types_from_msg(schema.data.decode(), schema.name)
        self._types.register(
            {name: fields for name, fields in types.items() if name not in self._types.fielddefs}
        )

    def _wanted(self, topic: str) -> str:
        topics = (HAND_STATES, FIXTURE_STATES, OBJECT_STATE, GOAL, SESSION, MARK)
        return next((name for name in topics if f"/{topic}".endswith(f"/{name}")), "")

    def take(self, topic: str, message: Any) -> None:
        """Keep one message."""
        if topic == SESSION:
            self.session = _session(message)
        elif topic == HAND_STATES:
            self._hands.append(message)
        elif topic == FIXTURE_STATES:
            self._fixtures.append(message)
        elif topic == OBJECT_STATE:
            self._objects.append(message)
        elif topic == GOAL:
            self._goals[message.episode] = _goal(message)
        elif topic == MARK:
            self._mark(message)

    def _mark(self, mark: Any) -> None:
        number = mark.episode
        if mark.kind == BEGAN:
            self._began[number] = mark
            self.dropped.pop(number, None)  # it was recorded again
            if number in self._accepted:
                self._accepted.remove(number)
        elif mark.kind == ENDED:
            self._ended[number] = _seconds(mark.header.stamp)
        elif mark.kind == DROPPED:
            self.dropped[number] = mark.reason
        elif mark.kind == ACCEPTED:
            self._accepted.append(number)

    def finish(self) -> None:
        """Cut the streams into demonstrations.

        Only now, by their stamps: messages of different topics come into a bag in any order.
        """
        hand, fixture = _joint_states(self._hands), _joint_states(self._fixtures)
        objects = [(_seconds(m.header.stamp), m.angle, m.velocity) for m in self._objects]
        obj = ObjectEstimate(*np.array(objects, dtype=np.float64).reshape(-1, 3).T.copy())
        for number in self._accepted:
            began = self._began.get(number)
            if began is None or number not in self._ended or number not in self._goals:
                self.dropped[number] = "its begin, end or goal is missing in the bag"
                continue
            self._cut(number, began, hand, fixture, obj)
        for number in self._began:
            if number not in self.motions and number not in self.dropped:
                self.dropped[number] = "it was cut off"

    def _cut(
        self, number: int, began: Any, hand: JointState, fixture: JointState, obj: ObjectEstimate
    ) -> None:
        motion = Motion(
            hand=hand,
            object=obj,
            goal=self._goals[number],
            began=_seconds(began.header.stamp),
            ended=self._ended[number],
            episode=number,
            seed=began.seed,
            reset_s=began.reset_s,
            reset_attempts=began.reset_attempts,
        )
        self.motions[number] = motion.within()
        during = (fixture.stamp >= motion.began) & (fixture.stamp <= motion.ended)
        self.fixtures[number] = rows.take(fixture, np.flatnonzero(during))


def _seconds(stamp: Any) -> float:
    return float((stamp.sec * NS_PER_S + stamp.nanosec) / NS_PER_S)


def _joint_states(messages: list[Any]) -> JointState:
    def column(name: str) -> Array:
        return np.array([getattr(m, name) for m in messages], dtype=np.float64)

    stamps = np.array([_seconds(m.header.stamp) for m in messages])
    return JointState(stamps, column("position"), column("velocity"), column("effort"))


def _goal(message: Any) -> Goal:
    return Goal(
        np.array([message.episode]),
        np.array([_seconds(message.header.stamp)]),
        np.array([message.angle], dtype=np.float64),
        np.array([message.velocity], dtype=np.float64),
    )


def _session(message: Any) -> Session:
    return Session(
        message.task,
        message.hand,
        tuple(message.joints),
        message.object,
        message.period,
        message.hardware,
        message.pace,
        message.teacher,
        message.calibration,
    )
