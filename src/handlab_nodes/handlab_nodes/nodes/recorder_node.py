"""Recorder: writes the topics of the graph into a rosbag2 bag with MCAP storage, as they pass.

Messages are not decoded: the bytes on the wire are the bytes in the bag. A message is in the file
FLUSH_PERIOD later, even if this process is killed. Log times never go back; see `LogTime`.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from rosbags.interfaces import Connection
from rosgraph_msgs.msg import Clock as ClockMsg
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger

from handlab_core.errors import BadConfig, CannotWrite, HandlabError
from handlab_core.options import BagOptions
from handlab_core.system.files import writing
from handlab_core.system.validation import checked
from handlab_core.types import NS_PER_S
from handlab_data.bag_folder import check_bag_folder, clear_bag_folder
from handlab_data.bag_writer import BagWriter
from handlab_interfaces import msg as wire
from handlab_nodes.messages import qos, topics
from handlab_nodes.messages.cdr_codec import ENCAPSULATION, STAMP
from handlab_nodes.runtime.diagnostics import ERROR, OK, Diagnostics
from handlab_nodes.runtime.event_loop import end_request, run
from handlab_nodes.runtime.inbox import Channel, Inbox
from handlab_nodes.runtime.parameters import read_params
from handlab_nodes.runtime.round_trip import unanswering
from handlab_nodes.runtime.serialized import OPTIONS, REPETITION, first_form
from handlab_nodes.runtime.simulated_clock import clock_of

QUEUE = qos.EVERY
"""Deep enough for a disk that is slow for a while. It is not latched: earlier messages are not
recorded. Repeated messages of a stream are left out by their stamps."""

KEPT = "recordings"
"""Folder of the bags that are kept, in the present folder."""

MOST_KEPT = 256 << 20
"""bytes; limit of the messages in memory; in lockstep a world can make a thousand steps a second,
and still one second of its time."""

FLUSH_PERIOD = 0.4
"""Seconds; longest part of a recording that a crash loses."""

RECORDED: dict[str, tuple[type, QoSProfile]] = {
    topics.CLOCK: (ClockMsg, qos.CLOCK),
    topics.JOINT_STATES: (JointState, qos.REPORT),
    topics.HAND_STATES: (JointState, qos.STREAM),
    topics.HAND_COMMANDS: (JointState, qos.COMMAND),
    topics.HAND_SENT: (JointState, qos.STREAM),
    topics.FIXTURE_STATES: (JointState, qos.STREAM),
    topics.FIXTURE_COMMANDS: (JointState, qos.COMMAND),
    topics.OBJECT_STATE: (wire.ObjectState, qos.STREAM),
    topics.GOAL: (wire.EpisodeGoal, qos.LATCHED),
    topics.REWARD: (wire.Reward, qos.STREAM),
    topics.EPISODE: (wire.Episode, qos.EPISODES),
    topics.SESSION: (wire.DemonstrationSession, qos.LATCHED),
    topics.MARK: (wire.DemonstrationMark, qos.EPISODES),
    topics.HAND_STATUS: (wire.HandStatus, qos.REPORT),
    topics.FIXTURE_STATUS: (wire.HandStatus, qos.REPORT),
    topics.DIAGNOSTICS: (DiagnosticArray, qos.REPORT),
    topics.DESCRIPTION: (String, qos.LATCHED),
    topics.LABEL: (String, qos.EPISODES),
    topics.SIMULATION_STATE: (Float64MultiArray, qos.STREAM),
}
"""Type and offered quality of service of each topic."""

ALWAYS = (topics.HAND_STATES, topics.FIXTURE_STATES, topics.OBJECT_STATE)
"""Streams of which a graph that can move has published something already: it is repeated."""

DISCOVERY, LOOK = 5.0, 0.005
"""Seconds; longest wait for discovery by all publishers, and period of the checks."""

PATIENCE = 2.0
"""Seconds; longest wait for nodes to answer before a recording ends; the least at its begin."""

PUBLISHING = frozenset(name for names in topics.SENDERS.values() for name in names)
"""Names of the nodes whose messages a recording waits for, at its begin and at its end."""

HOLD = (topics.DESCRIPTION,)
"""Topics whose last message holds, although it was published before the recording began."""

TIMEKEEPERS = (
    topics.CLOCK,
    topics.HAND_STATES,
    topics.FIXTURE_STATES,
    topics.OBJECT_STATE,
    topics.REWARD,
)
"""Topics whose messages begin with a stamp of the world; a command's stamp may be anything. More
than the driver's: at the beginning its publishers may be the last to be discovered."""

LEAP = NS_PER_S
"""ns; step of simulated time that is longer than a control period."""

EARLY = 10_000
"""Messages that wait for the first simulated time at most; more are logged at 0."""

STREAMS = (JointState, wire.ObjectState, wire.Reward, ClockMsg, Float64MultiArray)
"""Types of messages that come in every step."""


@checked
class RecorderParams(BagOptions):
    """Parameters of the node."""


class LogTime:
    """Time at which each message is logged.

    Where time is simulated it is the newest stamp of the world so far: `ros2 bag play` then plays a
    lockstep run as fast as the robot moved, not as fast as the computer was. The node's own clock
    would be late by many steps; see `handlab_nodes.driver.publishers.CLOCK_RATE`.

    A first stamp and one that is far ahead count on topics without strangers only: a bag contains
    the messages of all senders, and time never goes back.

    Args:
        clock: clock of the node.
        simulated: whether that clock follows /clock.
        is_ours: whether only listed nodes publish on a topic.
    """

    def __init__(
        self, clock: Clock, simulated: bool, is_ours: Callable[[str], bool] = lambda topic: True
    ) -> None:
        self._clock, self._simulated, self._is_ours = clock, simulated, is_ours
        self._newest, self._known = 0, False
        self._look()

    def begin(self) -> int:
        """Return the present time; ns, 0: unknown."""
        return self._newest

    def see(self, topic: str, data: bytes) -> int | None:
        """Return the time [ns] to log a message at; None while the simulated time is unknown."""
        if not self._simulated:
            self._look()
        elif topic in TIMEKEEPERS and (stamp := _stamp(data)) is not None:
            near = self._known and stamp <= self._newest + LEAP
            if near or self._is_ours(topic):
                self._newest, self._known = max(self._newest, stamp), True
        return self._newest if self._known else None

    def _look(self) -> None:
        now = self._clock.now().nanoseconds
        self._newest, self._known = max(self._newest, now), not self._simulated or now > 0


class WithoutRepetitions:
    """Uses each message of a stream once, in the order of their stamps.

    A publisher repeats its newest messages when any reader appears, which may be in the middle of a
    recording; see `handlab_nodes.runtime.stream`.

    Args:
        use: is given each message that is new.
    """

    def __init__(self, use: Callable[[bytes], None]) -> None:
        self._use, self._newest = use, -1

    def __call__(self, data: bytes) -> None:
        """Use a message, unless it repeats one from before the newest."""
        stamp = _stamp(data)
        if data[OPTIONS] == REPETITION:
            if stamp is None or stamp <= self._newest:
                return
            data = first_form(data)
        self._newest = self._newest if stamp is None else stamp
        self._use(data)


class Tape:
    """One recording: a bag, and the messages that wait for the first simulated time."""

    def __init__(self, path: Path, log_time: LogTime) -> None:
        self.bag, self._log_time, self._since = BagWriter(path), log_time, log_time.begin()
        self._early: list[tuple[Connection, bytes]] = []

    def write(self, connection: Connection, topic: str, data: bytes) -> None:
        """Add one message as it came from the wire, unless it is older than the recording."""
        repeated = topic != topics.SIMULATION_STATE and (
            RECORDED[topic][1] is qos.STREAM or topic == topics.JOINT_STATES
        )
        stamp = _stamp(data) if repeated else None
        if stamp is not None and stamp < self._since:
            return
        self._early.append((connection, data))
        now = self._log_time.see(topic, data)
        if now is not None or len(self._early) >= EARLY:
            self._write_early(now or 0)

    def close(self) -> None:
        """Finish the bag; without any simulated time its messages are logged at 0."""
        self._write_early(0)
        self.bag.close()

    def _write_early(self, time_ns: int) -> None:
        for connection, data in self._early:
            self.bag.write(connection, time_ns, data)
        self._early.clear()


class Ring:
    """The newest messages of every topic, in memory.

    Args:
        seconds: length of the kept part, by the time at which messages are logged.
        log_time: time of messages.
    """

    def __init__(self, seconds: float, log_time: LogTime) -> None:
        self._span, self._log_time = round(seconds * NS_PER_S), log_time
        self._messages: deque[tuple[int, str, bytes]] = deque()
        self._bytes = 0
        self._holding: dict[str, bytes] = {}
        """Last message of each latched topic that has left the ring: it still holds."""

    def add(self, topic: str, data: bytes) -> None:
        """Add a message as it came, and drop those that are too old or too many."""
        now = self._log_time.see(topic, data) or 0
        self._messages.append((now, topic, data))
        self._bytes += len(data)
        while self._messages[0][0] < now - self._span or self._bytes > MOST_KEPT:
            _, old_topic, old = self._messages.popleft()
            self._bytes -= len(old)
            if _latched(old_topic):
                self._holding[old_topic] = old

    def save(self, path: Path, name_of: Callable[[str], str]) -> int:
        """Write a bag; return the number of messages.

        Args:
            path: folder of the bag, which must not exist.
            name_of: returns the full name of a topic.

        Raises:
            BadConfig: there is no message yet.
            CannotWrite: the folder cannot be written.
        """
        if not self._messages:
            raise BadConfig("nothing has come yet: start something that moves, then keep it")
        first = self._messages[0][0]
        held = [(first, topic, data) for topic, data in self._holding.items()]
        messages = [*held, *self._messages]
        with writing(path):
            bag = BagWriter(path)
            try:
                present = {topic for _, topic, _ in messages}
                connections = {
                    topic: bag.connect(name_of(topic), kind, _latched(topic), offered.depth)
                    for topic, (kind, offered) in RECORDED.items()
                    if topic in present
                }
                for time_ns, topic, data in messages:
                    bag.write(connections[topic], time_ns, data)
            finally:
                bag.close()
        return len(messages)


def _latched(topic: str) -> bool:
    return RECORDED[topic][1].durability is DurabilityPolicy.TRANSIENT_LOCAL


class RecorderNode(Node):
    """Records between a service call with True and one with False, and keeps the newest part."""

    def __init__(self) -> None:
        super().__init__("recorder")
        params = read_params(self, RecorderParams())
        if not (params.bag or params.keep_last):
            raise BadConfig(
                "the recorder needs the parameter `bag`, a folder to write to, or `keep_last`, s"
            )
        self._path: Path | None = Path(params.bag) if params.bag else None
        if self._path is not None:
            check_bag_folder(self._path)
        self._heard: list[Channel[bytes]] = []
        self._kept: list[Channel[bytes]] = []
        """Subscriptions of the recording, and of the ring."""
        self._ring: Ring | None = None
        if params.keep_last:
            self._listen_for_keeping(params.keep_last)
        self._tape: Tape | None = None
        self._failure = ""  # why the recording ended early
        self._count, self._flushed = 0, 0.0
        self.create_service(SetBool, topics.RECORD, self._on_record)
        self._diagnostics = Diagnostics(self)

    def _listen_for_keeping(self, seconds: float) -> None:
        """Have the newest messages in memory, for as long as this node lives."""
        ring = self._ring = Ring(seconds, self._log_time())
        for topic in RECORDED:
            queue = qos.LATCHED if _latched(topic) else QUEUE
            self._kept.append(self._hear(topic, partial(ring.add, topic), queue))
        self.create_service(Trigger, topics.KEEP, self._on_keep)

    def _hear(self, topic: str, use: Callable[[bytes], None], queue: QoSProfile) -> Channel[bytes]:
        """Receive the serialised messages of a topic, in the order in which all of them come."""
        kind = RECORDED[topic][0]
        read = _bytes if kind in STREAMS else partial(_checked, kind)
        use = WithoutRepetitions(use) if topic in topics.STREAMS else use
        return Inbox.of(self).subscribe(kind, topic, read, use, queue, ordered=True)

    def _log_time(self) -> LogTime:
        simulated = bool(self.get_parameter("use_sim_time").value)
        return LogTime(clock_of(self), simulated, self._is_ours)

    def _on_keep(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        assert self._ring is not None
        path = Path(KEPT, f"{datetime.now():%Y%m%d-%H%M%S-%f}-kept").resolve()
        try:
            self._ring.save(path, self.resolve_topic_name)
            response.success, response.message = True, str(path)
        except HandlabError as error:
            response.message = str(error)
        return response

    def _on_record(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        try:
            if self._path is None:
                raise BadConfig("the recorder has no folder to write to: add --bag FOLDER")
            with writing(self._path):
                if not request.data:
                    self._await_last_messages()
                    self._stop()
                elif self._tape is None or self._failure:
                    self._stop()
                    self._start()
                # Else it is the same request again, from a client that waits for long: to begin
                # anew would lose what has come since the answer to the first one.
            response.message, self._failure = self._failure, ""
            response.success = not response.message
        except HandlabError as error:
            response.message = str(error)
        return response

    def _start(self) -> None:
        assert self._path is not None
        clear_bag_folder(self._path)
        tape = self._tape = Tape(self._path, self._log_time())
        for topic, (kind, offered) in RECORDED.items():
            name = self.resolve_topic_name(topic)
            connection = tape.bag.connect(name, kind, _latched(topic), offered.depth)

            def on_message(
                data: bytes, connection: Connection = connection, topic: str = topic
            ) -> None:
                if self._failure:
                    return
                with self._reporting():
                    tape.write(connection, topic, data)
                    self._count += 1
                    if topic == topics.SESSION:
                        tape.bag.describe(_facts(data))

            queue = qos.LATCHED if topic in HOLD else QUEUE
            self._heard.append(self._hear(topic, on_message, queue))
        self._await_publishers()

    def _is_ours(self, topic: str) -> bool:
        heard = (*self._heard, *self._kept)
        channels = (channel for channel in heard if channel.topic == topic)
        return not any(channel.has_strangers() for channel in channels)

    def _await_publishers(self) -> None:
        """Wait until the graph's streams arrive; they may go on as soon as the caller is answered.

        On a busy machine discovery takes longer than the first hundred steps in lockstep.
        """
        waiting = [channel for channel in self._heard if channel.topic in ALWAYS]
        deadline = time.monotonic() + DISCOVERY
        while waiting and time.monotonic() < deadline:
            waiting = [channel for channel in waiting if not channel.drain()]
            time.sleep(LOOK)
        for channel in waiting:
            self.get_logger().warning(f"recording, but nothing comes on {channel.name}")
        patience = max(deadline - time.monotonic(), PATIENCE)
        left = unanswering(self, self._publishing, patience, lambda: end_request.made)
        if left:
            self.get_logger().warning(
                f"recording, but {', '.join(left)} did not answer in {patience:.0f} s: "
                "the first messages may be missing"
            )

    def _await_last_messages(self) -> None:
        """Wait until the messages that the graph's nodes have published are here."""
        if self._tape is None or self._failure:
            return
        left = unanswering(self, self._publishing, PATIENCE, lambda: end_request.made)
        if left:
            self.get_logger().warning(
                f"the recording ends, but {', '.join(left)} did not answer in {PATIENCE:g} s: "
                "the last messages may be missing"
            )

    def _publishing(self) -> set[str]:
        """Return the full names of the graph's nodes that publish recorded topics."""
        return {
            f"{info.node_namespace.rstrip('/')}/{info.node_name}"
            for topic in topics.SENDERS.keys() & RECORDED.keys() | {topics.HAND_COMMANDS}
            for info in self.get_publishers_info_by_topic(self.resolve_topic_name(topic))
            if info.node_name in PUBLISHING
        }

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Survive a disk that refuses; the next call of the service returns the reason."""
        try:
            with writing(self._path or Path()):
                yield
        except CannotWrite as error:
            self._failure = str(error)
            self.get_logger().error(f"{error}; the recording ends here")

    def _stop(self) -> None:
        for channel in self._heard:
            Inbox.of(self).close(channel)
        self._heard.clear()
        tape, self._tape = self._tape, None
        if tape is not None and not self._failure:
            tape.close()

    def destroy_node(self) -> None:
        """Close the bag, then the node."""
        with self._reporting():
            self._stop()
        super().destroy_node()

    def work(self, loop: object) -> None:
        """Flush the bag every FLUSH_PERIOD."""
        now = time.monotonic()
        if self._tape is None or self._failure:
            return
        if now - self._flushed >= FLUSH_PERIOD:
            self._flushed = now
            with self._reporting():
                self._tape.bag.flush()

    def report(self) -> None:
        """Report the number of recorded messages."""
        message = self._failure or ("recording" if self._tape else "idle")
        level = ERROR if self._failure else OK
        self._diagnostics.publish(level, message, {"messages": self._count})


def _stamp(data: bytes) -> int | None:
    """Return the stamp [ns] that a serialised message begins with; None if it is too short."""
    if len(data) < ENCAPSULATION + STAMP.size:
        return None
    sec, nanosec = STAMP.unpack_from(data, ENCAPSULATION)
    return int(sec * NS_PER_S + nanosec)


def _bytes(data: bytes) -> bytes:
    """Return a serialised message of a stream unchecked; deserialising all takes too long."""
    return data


def _checked(kind: type, data: bytes) -> bytes:
    """Return a serialised message; raise rclpy's error for data of another type."""
    deserialize_message(data, kind)
    return data


def _facts(data: bytes) -> dict[str, str]:
    """Return the facts of a session for the metadata of the bag."""
    session = deserialize_message(data, wire.DemonstrationSession)
    names = ("task", "hand", "object", "hardware", "pace", "teacher", "calibration")
    facts = {name: getattr(session, name) for name in names}
    return facts | {"goal": " ".join(f"{angle:g}" for angle in session.goal)}


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(RecorderNode, args=args)


if __name__ == "__main__":
    main()
