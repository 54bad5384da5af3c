"""Publisher of a stream: a state in every step, which no late reader needs while it moves.

In lockstep the world waits for the nodes. A node that is started again would wait for a state that
was published before, and the world would wait for the node. So the publisher repeats its newest
message when a reader appears, marked as a repetition. Readers that have received the message ignore
the repetition; see `handlab_nodes.runtime.inbox`. To other programs it is the same state again.

DDS would do the same for one reader alone, with the durability TRANSIENT_LOCAL. But then the
history of a publisher is always full, so that Fast DDS asks every reader for an acknowledgement of
every message; and a reader that joins a moving stream counts a message as lost.
"""

from typing import Any

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message

from handlab_nodes.messages import qos
from handlab_nodes.runtime.serialized import repetition


class Stream:
    """Publisher of one stream.

    Args:
        node: publishes.
        kind: type of the messages.
        topic: name, as in `topics`.
        repeats: publish the newest message again when a reader appears; for lockstep.
        profile: quality of service.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topic: str,
        repeats: bool,
        profile: QoSProfile = qos.STREAM,
    ) -> None:
        self._newest = b""
        events = PublisherEventCallbacks(matched=self._on_matched) if repeats else None
        self._publisher = node.create_publisher(kind, topic, profile, event_callbacks=events)

    def publish(self, message: Any) -> None:
        """Publish a message, or the bytes of one."""
        data = message if isinstance(message, bytes) else serialize_message(message)
        self._newest = data
        self._publisher.publish(data)

    def _on_matched(self, info: Any) -> None:
        """Repeat the newest message for a reader that has appeared."""
        if self._newest and info.total_count_change > 0:
            self._publisher.publish(repetition(self._newest))
