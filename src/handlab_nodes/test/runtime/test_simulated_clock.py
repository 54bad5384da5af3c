"""Simulated time comes from listed nodes, and a node does not wake for it."""

import time

import pytest
import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from handlab_nodes.messages import convert, qos
from handlab_nodes.runtime.event_loop import EventLoop
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.simulated_clock import clock_of, poll_clock


def make_node(name, context, simulated=False):
    time_source = [Parameter("use_sim_time", value=simulated)]
    return rclpy.create_node(
        name, context=context, namespace="clock", parameter_overrides=time_source,
        cli_args=["--ros-args", "-r", "/clock:=clock"],
    )  # fmt: skip


@pytest.fixture
def context(domain):
    made = Context()
    rclpy.init(context=made, domain_id=domain)
    yield made
    made.try_shutdown()


def test_the_newest_time_of_a_listed_node_counts_and_no_message_wakes_the_node(context):
    node = make_node("estimator", context, simulated=True)
    poll_clock(node)
    others = [make_node(name, context) for name in ("driver", "stranger")]
    ours, theirs = (other.create_publisher(Clock, "clock", qos.CLOCK) for other in others)
    events = []
    node.work = events.append  # called after every event, and every POLL
    with EventLoop(node, context=context) as loop:
        loop.wait(lambda: ours.get_subscription_count() > 0, "the subscription")
        loop.wait(lambda: theirs.get_subscription_count() > 0, "the subscription")
        theirs.publish(Clock(clock=convert.to_stamp(1e9)))
        ours.publish(Clock(clock=convert.to_stamp(5.0)))
        now = lambda: clock_of(node).now().nanoseconds  # noqa: E731
        loop.wait(lambda: now() == 5 * 10**9, "the driver's time")
        loop.wait(lambda: Inbox.of(node).drops, "the stranger's drop")
        loop.rest(0.1)
        events.clear()
        for second in range(6, 26):
            ours.publish(Clock(clock=convert.to_stamp(float(second))))
            time.sleep(0.002)
        loop.rest(0.1)
        assert len(events) < 5
        assert now() == 25 * 10**9
    for other in others:
        other.destroy_node()


def test_a_node_in_real_time_has_the_time_of_day(context):
    node = make_node("estimator", context)
    poll_clock(node)
    assert abs(clock_of(node).now().nanoseconds - time.time_ns()) < 10**9
    node.destroy_node()
