"""A driver that the operating system stops: what its servos are sent, on the emulated wire."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import JointState

from handlab.emulation.emulated_hands import emulated_graph
from handlab.graph.config import GraphConfig
from handlab_core.tasks import make_task
from handlab_hardware.dynamixel.emulator.tap import GoalTap
from handlab_hardware.dynamixel.protocol.registers import RAD_PER_TICK
from handlab_nodes.messages import qos, topics
from handlab_nodes.runtime.event_loop import guest

HAND = make_task("valve").hand
JITTER = 0.02  # s, by which this process may be late to see a packet


def pid_of(module, domain):
    """Process id of a node in a domain."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            there = f"ROS_DOMAIN_ID={domain}".encode() in (folder / "environ").read_bytes()
        except OSError:
            continue
        if there and any(module.encode() in word for word in words):
            return int(folder.name)
    pytest.fail(f"there is no {module}")


def too_fast(goals, rate):
    """The most that a servo's goals moved beyond its rate, over every span of time; rad."""
    worst = 0.0
    for id in {goal.id for goal in goals}:
        mine = [goal for goal in goals if goal.id == id]
        time, q = np.array([(goal.time, goal.ticks * RAD_PER_TICK) for goal in mine]).T
        for sign in (1, -1):
            ahead = sign * q - rate * time
            worst = max(worst, float((ahead - np.minimum.accumulate(ahead)).max()))
    return worst


@pytest.mark.parametrize("stop", [0.05, 0.3])
def test_a_driver_that_was_stopped_sends_no_goal_faster_than_the_limit(tmp_path, stop):
    tap, rate = GoalTap(), HAND.max_rate[0]
    config = GraphConfig("valve", runner=False, learner=False)
    with (
        emulated_graph(config, tmp_path) as (port, graph),
        guest("runner", graph.domain) as (node, loop),
    ):
        states = []
        node.create_subscription(JointState, topics.HAND_STATES, states.append, qos.STREAM)
        commands = node.create_publisher(JointState, topics.HAND_COMMANDS, qos.COMMAND)
        loop.wait(lambda: states and commands.get_subscription_count(), "the driver", 60)
        message, driver = JointState(name=list(HAND.joints)), pid_of("driver_node", graph.domain)

        def drive(target, seconds):
            message.position = target.tolist()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                commands.publish(message)
                time.sleep(0.01)

        def swing():
            """Go from end to end, with the driver stopped on the way; return the goals."""
            drive(0.9 * HAND.lower, 1.5)
            tap.take()
            for target in (HAND.upper, HAND.lower):
                drive(0.9 * target, 0.1)
                os.kill(driver, signal.SIGSTOP)
                drive(0.9 * target, stop)
                os.kill(driver, signal.SIGCONT)
                drive(0.9 * target, 1.0)
            return tap.take()

        port.bus.taps.append(tap)
        # On a busy machine packets that waited for this process look as if they came together.
        swings = []
        while not swings or (too_fast(swings[-1], rate) > rate * JITTER and len(swings) < 3):
            swings.append(swing())
    for goals in swings:
        assert np.ptp([goal.ticks for goal in goals if goal.id == 12]) * RAD_PER_TICK > 1.0
    assert min(too_fast(goals, rate) for goals in swings) <= rate * JITTER
