"""Simulated time, read when a node needs it and not whenever /clock has a message.

rclpy wakes a node for every message on /clock: ten times a second while the world rests, and in
lockstep forty times, in the middle of steps. The nodes here take exact times from the stamps of
messages. They need their clock for /diagnostics, once a second, and when a recording begins.
"""

from typing import Any

from rclpy.clock import Clock
from rclpy.node import Node
from rosgraph_msgs.msg import Clock as ClockMsg

from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.polled_subscriptions import PolledSubscriptions


def poll_clock(node: Node) -> None:
    """Replace rclpy's subscription to /clock, if the node has one, by a polled one.

    Its messages go through the node's inbox: nodes that are not listed do not move the time.
    """
    parts: Any = node  # rclpy's time source is private, the polled subscription is ours
    source = parts._time_source
    own = source._clock_sub
    if own is None:
        return
    polled = parts.polled_clock = PolledSubscriptions(node, "clock")
    read, senders = convert.decoder(ClockMsg, _checked), topics.SENDERS[topics.CLOCK]
    polled.listen(ClockMsg, own.topic_name, read, source.clock_callback, qos.SENSOR, senders)
    node.destroy_subscription(own)
    source._clock_sub = None


def clock_of(node: Node) -> Clock:
    """Return the clock of a node, set to the newest time on /clock if the node follows it."""
    polled = getattr(node, "polled_clock", None)
    if polled is not None:
        polled.skim()
        polled.take()
    return node.get_clock()


def is_simulated(node: Node) -> bool:
    """Return whether the robot is simulated: then its driver publishes the robot's time."""
    return node.count_publishers(topics.CLOCK) > 0


def _checked(message: ClockMsg) -> ClockMsg:
    """Return a message; ValueError if its time is none."""
    convert.checked_stamp(message.clock)
    return message
