"""Read demonstrations from a bag, as recorded and as episodes. Needs no ROS.

Bags come from anywhere, and the reader uses all usable data. Joints are matched by their names,
missing velocities are computed from the positions, and the whole demonstrations of a damaged bag
are kept. An unusable demonstration is left out with its reason. A bag without usable demonstrations
is refused with the topic, the message and the joint.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from handlab_core.demonstrations.action_inference import DEFAULT_INFERENCE
from handlab_core.demonstrations.recording import (
    Motion,
    check_motion,
    check_numbers,
    to_episode,
)
from handlab_core.environment.episode import Episode
from handlab_core.errors import BadDemonstrations, UnknownName
from handlab_core.hands import Hand, make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.system import batch
from handlab_core.tasks import Task
from handlab_core.types import Goal, JointState, ObjectEstimate
from handlab_data.bag_messages import (
    FIXTURE_STATES,
    GOAL,
    HAND_STATES,
    MARK,
    OBJECT_STATE,
    SESSION,
    SHOWN,
    Decoder,
    JointStream,
    ObjectStream,
    place,
    seconds,
)
from handlab_data.storage.bag import Bag
from handlab_data.storage.topic import Topic

BEGAN, ENDED, ACCEPTED, DROPPED = range(4)
"""Kinds of marks, as in `DemonstrationMark.msg`."""

LONGEST_TEXT = 1500
"""Characters; longest error message. Names in a bag may be longer."""
MAX_DEMONSTRATIONS = 10_000
"""Demonstrations of one bag; more do not fit into its record limit."""
MAX_WARNINGS = 100
"""Warnings of left-out demonstrations for one bag."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """Facts of a recording; see `DemonstrationSession.msg`."""

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
    """All demonstrations of a bag."""

    path: Path
    session: Session
    motions: dict[int, Motion] = field(default_factory=dict)
    """Accepted demonstrations, by number; joints in the order of the hand."""
    fixtures: dict[int, JointState] = field(default_factory=dict)
    """Readings of the object's joint during each demonstration, for viewers."""
    dropped: dict[int, str] = field(default_factory=dict)
    """Reason of each left-out demonstration, by number."""
    damage: list[str] = field(default_factory=list)
    """Damage of the bag's files; empty: none."""

    @property
    def whole(self) -> bool:
        """Whether the bag is undamaged and complete."""
        return not self.damage

    def choose(self, numbers: Sequence[int] = ()) -> list[int]:
        """Return the numbers of demonstrations to use: those given, or all.

        Raises:
            BadDemonstrations: a number is absent; the message lists the available ones.
        """
        for number in numbers:
            if number not in self.motions:
                known = ", ".join(str(n) for n in sorted(self.motions)) or "none"
                why = f" ({self.dropped[number]})" if number in self.dropped else ""
                raise BadDemonstrations(
                    f"{self.path} has no demonstration {number}{why}, only {known}"
                )
        if not self.motions:
            raise BadDemonstrations(_nothing_usable(self.path, self.dropped, self.damage))
        return list(numbers) or sorted(self.motions)


def read_demonstrations(
    path: Path,
    task: Task,
    calibration: str | None = None,
    inference: str = DEFAULT_INFERENCE,
    numbers: Sequence[int] = (),
) -> list[Episode]:
    """Return the episodes of a bag's accepted demonstrations.

    Args:
        path: folder of the bag, or one file of it.
        task: required task of the demonstrations.
        calibration: required calibration of the bag; None: any.
        inference: method of inferring actions; see
            `handlab_core.demonstrations.action_inference`.
        numbers: numbers of the demonstrations to use; empty: all.

    Raises:
        BadDemonstrations: it is not a bag of this task, hand, rate or calibration, with the
            difference; or none of its demonstrations can be used, with the reasons.
    """
    return episodes_of(read_recording(path), task, calibration, inference, numbers)


def episodes_of(
    recording: Recording,
    task: Task,
    calibration: str | None = None,
    inference: str = DEFAULT_INFERENCE,
    numbers: Sequence[int] = (),
) -> list[Episode]:
    """Return the episodes of a recording; see `read_demonstrations`."""
    check_session(recording, task, calibration)
    path, episodes, dropped = recording.path, [], dict(recording.dropped)
    for number in recording.choose(numbers):
        try:
            episodes.append(to_episode(recording.motions[number], task, inference))
        except BadDemonstrations as error:
            if numbers:
                raise BadDemonstrations(f"{path}: {error}") from error
            dropped[number] = str(error)
            log.warning("%s: %s; it is left out", path, error)
    if not recording.whole:
        log.warning(
            "%s is damaged or was cut off (%s); its %d whole episodes are used",
            path, _first(recording.damage), len(episodes),
        )  # fmt: skip
    if not episodes:
        raise BadDemonstrations(_nothing_usable(path, dropped, recording.damage))
    return episodes


def check_session(recording: Recording, task: Task, calibration: str | None = None) -> None:
    """Refuse a bag of another task, hand, rate or calibration.

    Raises:
        BadDemonstrations: names every difference.
    """
    session = recording.session
    pairs = [
        ("task", session.task, task.name),
        ("hand", session.hand, task.hand_name),
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
        raise BadDemonstrations(
            _plain(f"{recording.path} cannot be used here: {'; '.join(differences)}")
        )


def read_recording(path: Path) -> Recording:
    """Read a bag.

    Raises:
        BadDemonstrations: there is none, or it is not one recording of demonstrations.
    """
    bag, decoder, robots = Bag(path), Decoder(), dict[str, _Robot]()
    try:
        for topic, data in bag.messages(lambda name: place(name) is not None):
            namespace, end = place(topic.name) or ("", "")
            robots.setdefault(namespace, _Robot(namespace)).hear(topic, end, data, decoder)
    except BadDemonstrations as error:
        raise BadDemonstrations(_within(path, str(error))) from error
    shown = [robot for robot in robots.values() if robot.session is not None]
    if not shown:
        faults = bag.damage + [robot.fault for robot in robots.values() if robot.fault]
        damage = f"; {_first(faults)}" if faults else ""
        raise BadDemonstrations(
            f"{path} is no recording of demonstrations: it has no {SESSION}{damage}"
        )
    if len(shown) > 1:
        names = ", ".join(sorted(robot.namespace for robot in shown)[:SHOWN])
        raise BadDemonstrations(
            _plain(f"{path} has demonstrations of several robots, in the namespaces {names}")
            + ": keep the topics of one of them, by ros2 bag convert"
        )
    try:
        return shown[0].recording(path, bag.damage)
    except BadDemonstrations as error:
        raise BadDemonstrations(_within(path, str(error))) from error


def _within(path: Path, why: str) -> str:
    return _plain(why if why.startswith(str(path)) else f"{path}: {why}")


def _plain(text: str) -> str:
    """Return a message without line ends and control characters of a bag's own names, shortened."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text)
    return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]} ..."


def _nothing_usable(path: Path, dropped: dict[int, str], damage: list[str]) -> str:
    reasons = [f"{number}: {why}" for number, why in sorted(dropped.items())]
    broken = [f"it is damaged or was cut off ({_first(damage)})"] if damage else []
    why = "; ".join([*reasons[: 4 * SHOWN], *broken]) or "none was recorded"
    return _plain(f"{path} has no demonstration that can be used; {why}")


def _first(damage: list[str]) -> str:
    """Join the first reasons, and count the others."""
    more = f", and {len(damage) - SHOWN} more" if len(damage) > SHOWN else ""
    return _plain("; ".join(damage[:SHOWN]) + more)


@dataclass
class _Take:
    """Marks of one demonstration since it last began."""

    began: Any = None
    ended: float = np.nan
    accepted: bool = False
    fault: str = "it was cut off"
    """Reason why the demonstration cannot be used while it is not accepted."""
    judged: bool = False
    """Whether the demonstration was dropped while it was recorded."""


class _Robot:
    """Demonstration data of one robot in a bag."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.session: Session | None = None
        self.fault = ""
        """Reason why the recording of this robot is unusable."""
        prefix = namespace.rstrip("/")
        self._hand = JointStream(f"{prefix}/{HAND_STATES}")
        self._fixture = JointStream(f"{prefix}/{FIXTURE_STATES}")
        self._object = ObjectStream()
        self._goals: dict[int, Goal] = {}
        self._takes: dict[int, _Take] = {}

    def hear(self, topic: Topic, end: str, data: bytes, decoder: Decoder) -> None:
        """Decode and keep one message; after a fault only the session matters.

        Topics of another robot, or foreign topics of the same names, may hold any data.
        """
        if self.fault and end != SESSION:
            return
        try:
            self._take(end, decoder.decode(topic, end, data), decoder)
        except BadDemonstrations as error:
            self.fault = self.fault or str(error)

    def _take(self, end: str, message: Any, decoder: Decoder) -> None:
        if end == HAND_STATES:
            self._hand.take(message, decoder)
        elif end == FIXTURE_STATES:
            self._fixture.take(message, decoder)
        elif end == OBJECT_STATE:
            self._object.take(message)
        elif end == GOAL:
            self._goals[message.episode] = _goal(message)
        elif end == MARK:
            self._mark(message)
        elif (session := _session(message)) != self.session:
            if self.session is not None:
                raise BadDemonstrations("it has two different sessions; one bag is one session")
            self.session = session

    def _mark(self, mark: Any) -> None:
        """Follow the marks of a demonstration, which come in one order only."""
        if mark.kind == BEGAN:  # a first time, or again
            self._takes[mark.episode] = _Take(mark)
            return
        take = self._takes.setdefault(mark.episode, _Take())
        stamp = seconds(mark.header.stamp)
        if mark.kind == DROPPED:
            self._takes[mark.episode] = _Take(fault=mark.reason or "dropped", judged=True)
        elif mark.kind == ENDED and take.began is not None and np.isnan(take.ended):
            take.ended = stamp
        elif mark.kind == ACCEPTED and stamp == take.ended and not take.accepted:
            take.accepted = True
        else:
            names = {ENDED: "end", ACCEPTED: "acceptance"}
            what = names.get(mark.kind, f"mark of kind {mark.kind}")
            why = f"its begin, end or goal is missing in the bag: its {what} fits no mark before"
            self._takes[mark.episode] = _Take(fault=why)

    def recording(self, path: Path, damage: list[str]) -> Recording:
        """Cut the streams into demonstrations.

        The stamps decide, after all messages were read: a bag has the messages of different topics
        in any order.
        """
        assert self.session is not None
        if self.fault:
            raise BadDemonstrations(self.fault)
        recording = Recording(path, self.session, damage=damage)
        hand = _hand_of(self.session)
        states = self._hand.joint_state(hand.joints)
        fixture = self._fixture.joint_state((FIXTURES.make(self.session.object).joint,))
        for lacking in self._hand.lacking():
            log.warning("%s: %s", path, _plain(lacking))
        if len(self._takes) > MAX_DEMONSTRATIONS:
            raise BadDemonstrations(
                f"it has marks of {len(self._takes)} demonstrations; {MAX_DEMONSTRATIONS} are "
                "allowed"
            )
        obj = self._object.estimate()
        for number, take in sorted(self._takes.items()):
            try:
                motion = self._cut(number, take, states, obj)
                shown = batch.take(fixture, motion.readings(fixture.stamp, "fixture"))
                check_motion(motion, hand)
                check_numbers("fixture", shown)
            except BadDemonstrations as error:
                recording.dropped[number] = _plain(str(error))
                if not take.judged and len(recording.dropped) <= MAX_WARNINGS:
                    why = recording.dropped[number]
                    log.warning("%s: demonstration %d is left out: %s", path, number, why)
            else:
                recording.motions[number] = motion
                recording.fixtures[number] = shown
        return recording

    def _cut(self, number: int, take: _Take, hand: JointState, obj: ObjectEstimate) -> Motion:
        """Cut one demonstration out of the streams; BadDemonstrations if its marks do not fit."""
        if not take.accepted:
            raise BadDemonstrations(take.fault)
        if number not in self._goals:
            raise BadDemonstrations("its begin, end or goal is missing in the bag: its goal")
        motion = Motion(
            hand=hand,
            object=obj,
            goal=self._goals[number],
            began=seconds(take.began.header.stamp),
            ended=take.ended,
            episode=number,
            seed=take.began.seed,
            reset_s=take.began.reset_s,
            reset_attempts=take.began.reset_attempts,
        )
        motion.readings(hand.stamp, "hand")
        motion.readings(obj.stamp, "object")
        return motion.within()


def _hand_of(session: Session) -> Hand:
    """Return the hand of a session; BadDemonstrations if it is not one of ours."""
    try:
        hand = make_hand(session.hand)
        FIXTURES.make(session.object)
    except UnknownName as error:
        raise BadDemonstrations(f"it is of an {error}") from error
    absent = sorted(set(hand.joints) - set(session.joints))
    foreign = sorted(set(session.joints) - set(hand.joints))
    if absent or foreign:
        raise BadDemonstrations(
            f"its session has the joints {', '.join(session.joints[: 2 * SHOWN])}, and the hand "
            f"{hand.name} has {', '.join(hand.joints)}"
        )
    return hand


def _goal(message: Any) -> Goal:
    return Goal(
        np.array([message.episode]),
        np.array([seconds(message.header.stamp)]),
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
