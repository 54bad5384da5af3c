"""Streams: a reader that joins loses nothing, and a state that rests reaches a late reader."""

from functools import partial

import pytest
import rclpy
from rclpy.context import Context
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState

from handlab_interfaces import msg as wire
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.runtime.event_loop import EventLoop
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.serialized import repetition
from handlab_nodes.runtime.stream import Stream


class Foreign:
    """A subscription of a program that knows nothing of handlab."""

    def __init__(self, node, topic, durability=DurabilityPolicy.VOLATILE):
        self.got, self.lost, self.incompatible = [], [], []
        events = SubscriptionEventCallbacks(
            message_lost=self.lost.append, incompatible_qos=self.incompatible.append
        )
        profile = QoSProfile(depth=10, durability=durability)
        node.create_subscription(JointState, topic, self.on_state, profile, event_callbacks=events)

    def on_state(self, message):
        self.got.append(convert.from_stamp(message.header.stamp))


def test_a_listener_who_joins_a_moving_stream_loses_no_message(graph):
    with graph("driver", driver={"pace": "real"}) as (_, node, loop):
        first = Foreign(node, topics.HAND_STATES)
        loop.wait(lambda: len(first.got) > 50, "a stream that moves")
        joined = Foreign(node, topics.HAND_STATES)
        loop.wait(lambda: len(joined.got) > 20, "the stream")
        assert not joined.lost and joined.got == sorted(set(joined.got))
        latched = Foreign(node, topics.HAND_STATES, DurabilityPolicy.TRANSIENT_LOCAL)
        loop.wait(lambda: latched.incompatible, "the refusal")
        loop.rest(0.5)
        assert not latched.got and not latched.lost


def test_in_lockstep_a_state_that_rests_reaches_every_late_listener(graph):
    with graph("driver") as (_, node, loop):
        for _ in range(2):
            late = Foreign(node, topics.HAND_STATES)
            loop.wait(lambda late=late: late.got, "the state that was published before", 20)
            assert not late.lost
            loop.rest(0.3)  # no message in between


@pytest.fixture
def estimator(domain):
    """A node whose stream of the object repeats, and its loop; each in a context of its own."""
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("estimator", context=context, namespace="stream")
    with EventLoop(node, context=context) as loop:
        yield Stream(node, wire.ObjectState, topics.OBJECT_STATE, repeats=True), loop
    context.try_shutdown()


def test_a_node_that_appears_is_given_the_newest_states_and_the_others_use_it_once(
    domain, estimator
):
    stream, loop = estimator
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("reader", context=context, namespace="stream")
    other = rclpy.create_node("other", context=context, namespace="stream")
    heard, late = [], []
    decode = cdr_codec.ObjectStates().unpack

    def send(stamp):
        message = wire.ObjectState(angle=stamp)
        message.header.stamp = convert.to_stamp(stamp)
        stream.publish(message)

    def settle(readers):
        for _ in range(10):
            loop.rest(0.02)
            readers.rest(0.02)

    topic = wire.ObjectState, topics.OBJECT_STATE, decode
    with EventLoop(node, other, context=context) as readers:
        Inbox.of(node).subscribe(*topic, lambda x: heard.append(float(x.angle[0])), qos.EVERY)
        settle(readers)
        for i in range(6):
            send(float(i))
        settle(readers)
        Inbox.of(other).subscribe(*topic, lambda x: late.append(float(x.angle[0])), qos.EVERY)
        settle(readers)
        assert heard == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0] and late == [2.0, 3.0, 4.0, 5.0]
        send(3.0)  # the estimator begins again, with a state that was before
        send(0.0)
        settle(readers)
        assert heard[-2:] == late[-2:] == [3.0, 0.0]
    context.try_shutdown()


def test_only_a_marked_message_is_a_repetition(domain):
    """A simulation that begins again publishes the same bytes as before."""
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("unit", context=context, namespace="stream")
    used = []
    hear = partial(Inbox.of(node).subscribe, JointState, topics.HAND_STATES, bytes)
    channel = hear(used.append, qos.EVERY, senders=())
    one, two = (b"\x00\x01\x00\x00" + bytes([i] * 12) for i in (1, 2))
    for data in (one, two, repetition(two)):
        channel._receive(data, b"a")
    assert used == [one, two]
    channel._receive(repetition(one), b"b")  # to a reader that is new
    channel._receive(one, b"a")  # time began again
    assert used[2:] == [one, one]
    channel._receive(b"", b"a")
    assert Inbox.of(node).drops[topics.HAND_STATES].count == 1
    hear(used.append, qos.EVERY, ordered=True)._receive(repetition(two), b"a")
    assert used[4:] == [repetition(two)]
    node.destroy_node()
    context.try_shutdown()
