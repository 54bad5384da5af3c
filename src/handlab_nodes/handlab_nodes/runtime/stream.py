"""Publisher of a stream: a state in every step, which no late reader needs while it moves.

In lockstep the world waits for the nodes. A node that is started again would wait for a state that
was published before, and the world would wait for the node. So the publisher repeats its newest
messages when a reader appears, marked as repetitions. Readers that have received a message ignore
its repetition; see `handlab_nodes.runtime.inbox`. To other programs it is the same state again.
One message is not enough: the reward of a state is read after the next command is sent, so that the
world may be one state further before a reader misses anything.

DDS would do the same for one reader alone, with the durability TRANSIENT_LOCAL. But then the
history of a publisher is always full, so that Fast DDS asks every reader for an acknowledgement of
every message; and a reader that joins a moving stream counts a message as lost.
"""

from collections import deque
from typing import Any

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.serialization import serialize_message

from handlab_nodes.messages import qos
from handlab_nodes.runtime.serialized import REPEATED, repetition


class Stream:
    """Publisher of one stream.

    Args:
        node: publishes.
        kind: type of the messages.
        topic: name, as in `topics`.
        repeats: publish the newest messages again when a reader appears; for lockstep.
    """

    def __init__(self, node: Node, kind: type, topic: str, repeats: bool) -> None:
        self._newest = deque[bytes](maxlen=REPEATED)
        events = PublisherEventCallbacks(matched=self._on_matched) if repeats else None
        publisher = node.create_publisher(kind, topic, qos.STREAM, event_callbacks=events)
        self._handle = publisher.handle

    def publish(self, message: Any) -> None:
        """Publish a message, or the bytes of one."""
        data = message if isinstance(message, bytes) else serialize_message(message)
        self._newest.append(data)
        self._publish(data)

    def _on_matched(self, info: Any) -> None:
        """Repeat the newest messages for a reader that has appeared."""
        if info.total_count_change > 0:
            for data in self._newest:
                self._publish(repetition(data))

    def _publish(self, data: bytes) -> None:
        """Publish as `rclpy.publisher.Publisher` does, which asks for the type every time."""
        with self._handle:
            self._handle.publish_raw(data)
