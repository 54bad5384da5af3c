"""Recorder: writes the topics of the graph into a rosbag2 bag with MCAP storage, as they pass.

Messages are not decoded: the bytes on the wire are the bytes in the bag. What has passed is in the
file FLUSH_PERIOD later, whatever becomes of this process.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from handlab_core.errors import BadConfig
from handlab_interfaces import msg as wire
from handlab_nodes import qos, topics
from handlab_nodes.bag import BagWriter
from handlab_nodes.diagnostics import OK, Diagnostics
from handlab_nodes.params import read_params
from handlab_nodes.spinner import run

QUEUE = QoSProfile(depth=1000, reliability=qos.STREAM.reliability)
"""Deep enough for the disk to be slow for a while; not latched: what was before is not recorded."""

FLUSH_PERIOD = 0.4
"""s. So much a crash loses."""

RECORDED: dict[str, tuple[type, QoSProfile]] = {
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
}
"""Type of each topic, and what its publishers offer."""


@dataclass(frozen=True)
class RecorderParams:
    """Parameters of the node."""

    bag: str = ""  # folder of the bag; replaced when recording starts again


class RecorderNode(Node):
    """Records between a service call with True and one with False."""

    def __init__(self) -> None:
        super().__init__("recorder")
        bag = read_params(self, RecorderParams()).bag
        if not bag:
            raise BadConfig("the recorder needs the parameter `bag`, a folder to write to")
        self._path = Path(bag)
        self._writer: BagWriter | None = None
        self._heard: list = []
        self._count, self._flushed = 0, 0.0
        self.create_service(SetBool, topics.RECORD, self._on_record)
        self._diagnostics = Diagnostics(self)

    def _on_record(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        try:
            self._stop()
            if request.data:
                self._start()
            response.success = True
        except OSError as error:
            response.message = f"cannot write {self._path}: {error.strerror}"
        return response

    def _start(self) -> None:
        if self._path.exists():
            shutil.rmtree(self._path)
        writer = self._writer = BagWriter(self._path)
        for topic, (kind, offered) in RECORDED.items():
            latched = offered.durability is DurabilityPolicy.TRANSIENT_LOCAL
            name = self.resolve_topic_name(topic)
            connection = writer.connect(name, kind, latched, offered.depth)

            def on_message(
                data: bytes, connection: object = connection, topic: str = topic
            ) -> None:
                writer.write(connection, self.get_clock().now().nanoseconds, data)
                self._count += 1
                if topic == topics.SESSION:
                    writer.describe(_facts(data))

            self._heard.append(self.create_subscription(kind, topic, on_message, QUEUE, raw=True))

    def _stop(self) -> None:
        for subscription in self._heard:
            with subscription.handle:  # what has come and was not looked at yet
                while taken := subscription.handle.take_message(subscription.msg_type, True):
                    subscription.callback(taken[0])
            self.destroy_subscription(subscription)
        self._heard.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def destroy_node(self) -> None:
        """Close the bag, then the node."""
        self._stop()
        super().destroy_node()

    def work(self, spinner: object) -> None:
        """Flush, often enough."""
        now = time.monotonic()
        if self._writer is not None and now - self._flushed >= FLUSH_PERIOD:
            self._flushed = now
            self._writer.flush()

    def report(self) -> None:
        """Tell how much was recorded."""
        message = "recording" if self._writer else "idle"
        self._diagnostics.publish(OK, message, {"messages": self._count})


def _facts(data: bytes) -> dict[str, str]:
    """What `ros2 bag info` shows of a session."""
    session = deserialize_message(data, wire.DemonstrationSession)
    names = ("task", "hand", "object", "hardware", "pace", "teacher", "calibration")
    facts = {name: getattr(session, name) for name in names}
    return facts | {"goal": " ".join(f"{angle:g}" for angle in session.goal)}


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(RecorderNode, args=args)


if __name__ == "__main__":
    main()
