"""Diagnostics of a node: its state and figures on /diagnostics (REP 107)."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from handlab_nodes.messages import qos, topics
from handlab_nodes.runtime.inbox import QUIET, Inbox
from handlab_nodes.runtime.simulated_clock import clock_of, poll_clock

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

NOT_ACTIVE = "not active"
"""Message of a driver that waits to be started."""


class Diagnostics:
    """Publishes the state of one node, and has it read simulated time only when it needs it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        poll_clock(node)
        self._publisher = node.create_publisher(DiagnosticArray, topics.DIAGNOSTICS, qos.REPORT)

    def publish(self, level: bytes, message: str, values: Mapping[str, object]) -> None:
        """Publish level, one sentence, and figures; add the inbox's dropped messages."""
        drops = Inbox.of(self._node).drops
        values = dict(values)
        for topic, dropped in sorted(drops.items()):
            values[f"dropped on {topic}"] = dropped.count
            values[f"dropped on {topic}, last"] = dropped.reason
        newest = max(drops, key=lambda topic: drops[topic].at, default=None)
        if level == OK and newest is not None and time.monotonic() - drops[newest].at < QUIET:
            level = WARN
            dropped = drops[newest]
            message += f"; dropped {dropped.count} messages on {newest}, last: {dropped.reason}"
        pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        name = f"{self._node.get_namespace().strip('/')}/{self._node.get_name()}".strip("/")
        status = DiagnosticStatus(
            level=level, name=name, message=message, hardware_id=name, values=pairs
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = clock_of(self._node).now().to_msg()
        self._publisher.publish(array)


def strangers_among(senders: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """Return the names of a topic's unexpected publishers.

    One publisher is expected of each allowed node. A second one is another process of the same
    name, and the two would command in turn.

    Args:
        senders: name of the node of each publisher.
        allowed: names of the expected nodes.
    """
    counts, known = Counter(senders), set(allowed)
    unknown = [name for name in counts if name not in known]
    twice = [f"a second {name}" for name, count in counts.items() if name in known and count > 1]
    return sorted(unknown) + sorted(twice)
