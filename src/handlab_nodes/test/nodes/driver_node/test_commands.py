"""Commands to the driver: malformed, out of range, stale, of a stranger, none."""

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import JointState

from handlab_core.tasks import make_task
from handlab_interfaces.msg import HandStatus
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.polled_subscriptions import PolledSubscriptions

TASK = make_task("valve")


class Bench:
    """A driver, with somebody who can see and command it."""

    def __init__(self, node, loop):
        self.node, self.loop, self.status, self.diagnostics = node, loop, [], {}
        self.listener, self.states = PolledSubscriptions(node), []
        node.create_subscription(JointState, topics.HAND_STATES, self._on_state, qos.STREAM)
        node.create_subscription(HandStatus, topics.HAND_STATUS, self.status.append, 10)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.commands = node.create_publisher(JointState, topics.HAND_COMMANDS, qos.COMMAND)
        loop.wait(lambda: self.states, "a state")
        loop.wait(lambda: self.commands.get_subscription_count() > 0, "the driver")

    def _on_state(self, message):
        if not self.states or message.header.stamp != self.states[-1].header.stamp:  # repeated
            self.states.append(message)

    def _on_diagnostics(self, message):
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            self.diagnostics[status.name] = (status.message, values)

    def send(self, q, names=None, stamp=None):
        stamp = convert.from_stamp(self.states[-1].header.stamp) if stamp is None else stamp
        message = JointState(name=names or list(TASK.hand.joints), position=list(q))
        message.header.stamp = convert.to_stamp(stamp)
        self.commands.publish(message)

    def step(self, q):
        count = len(self.states)
        self.send(q)
        self.loop.wait(lambda: len(self.states) > count, "the next state")
        return np.array(self.states[-1].position)

    def dropped(self):
        values = self.diagnostics["driver"][1]
        return int(values.get(f"dropped on {topics.HAND_COMMANDS}", 0))

    def driver(self, key, value):
        def told():
            return self.diagnostics.get("driver", ("", {}))[1].get(key) == value

        self.loop.wait(told, f"{key} = {value} on /diagnostics")


def test_bad_commands_are_dropped_or_clamped_per_joint_and_counted(graph):
    with graph("driver") as (_, node, loop):
        bench = Bench(node, loop)
        home = TASK.hand.nominal
        still = bench.step(home)
        bad = home.copy()
        bad[0] = np.nan
        np.testing.assert_allclose(bench.step(bad)[0], still[0], atol=0.02)
        bench.driver("targets_dropped", "1")
        bad[0] = 50.0
        for _ in range(10):
            q = bench.step(bad)
        assert q[0] <= TASK.hand.upper[0] + 0.05
        bench.driver("commands_clamped", "10")
        bench.send([0.0, 0.0], names=["FFJ10", "FFJ11", "FFJ12"])  # malformed
        bench.driver("commands_malformed", "1")
        bench.send(home, stamp=12345.0)
        bench.driver("commands_stale", "1")
        loop.wait(lambda: bench.status and bench.status[-1].commands_clamped == 10, "the status")


@pytest.mark.parametrize("pace", ["lockstep", "real"])
def test_a_bare_driver_refuses_a_stranger_says_so_and_obeys_a_program_of_a_listed_name(graph, pace):
    """As `ros2 topic pub` commands it, without and with `--node-name runner`."""
    with graph("driver", driver={"pace": pace, "command_sources": ["runner", "reset"]}) as made:
        _, node, loop = made
        bench = Bench(node, loop)  # this node is called learner, which may not command
        far = TASK.hand.nominal + 0.2
        for _ in range(10):
            bench.send(far)
            loop.rest(0.05)
        bench.driver("strange_command_sources", "learner")
        assert "commands from learner are refused: not in" in bench.diagnostics["driver"][0]
        loop.wait(lambda: bench.dropped() == 10, "all drops")
        values = bench.diagnostics["driver"][1]
        assert "only reset, runner may" in values[f"dropped on {topics.HAND_COMMANDS}, last"]
        assert np.abs(np.array(bench.states[-1].position) - far).max() > 0.15
        runner = rclpy.create_node("runner", context=node.context)
        bench.commands = runner.create_publisher(JointState, topics.HAND_COMMANDS, qos.COMMAND)
        loop.wait(lambda: bench.commands.get_subscription_count() > 0, "the driver")

        def moved():
            bench.send(far)
            return np.abs(np.array(bench.states[-1].position) - far).max() < 0.1

        loop.wait(moved, "the hand to move", 20.0)
        runner.destroy_node()


def test_in_real_pace_the_world_runs_by_itself_and_old_commands_are_let_go(graph):
    with graph("driver", driver={"pace": "real"}) as (_, node, loop):
        bench = Bench(node, loop)
        far = TASK.hand.nominal.copy()
        far[1] = 0.0

        def efforts():
            return np.abs(np.array(bench.states[-1].effort))

        def commanded():
            bench.send(far)
            return abs(bench.states[-1].position[1]) < 0.3

        loop.wait(commanded, "the hand to follow")
        # Nobody commands any more: after the watchdog's limits the servos are limp.
        loop.wait(lambda: efforts().max() == 0.0, "the hand to be let go", 20)
