"""The driver behind ros2_control, of which a stand-in does what the plugin would.

That is JointStateTopicSystem of ros-controls/topic_based_hardware_interfaces @ d115f23 (its file
joint_state_topic_hardware_interface.cpp). The nodes are the real ones, in processes of their own.
"""

import subprocess
import time
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.action import ActionClient
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool

from handlab.graph.config import GraphConfig, build_graph, system_name
from handlab.graph.processes import command
from handlab_core.environment.env import Env
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.safety import limits
from handlab_core.tasks import make_task
from handlab_interfaces.action import Reset
from handlab_nodes.clients.graph_station import GraphStation
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.event_loop import EventLoop

TASK = make_task("valve")
HAND = TASK.hand
SILENT = 1e9  # rad, a threshold that no difference exceeds
EVERY_CYCLE = -1.0
NODES = {n.name: n for n in build_graph(GraphConfig(pace="real", learner=False, ros2_control=True))}


class Plugin:
    """JointStateTopicSystem with a forward controller: one cycle for each state that arrives."""

    def __init__(self, node):
        self.node, self.threshold, self.running = node, EVERY_CYCLE, False
        self.command = np.full(HAND.n, np.nan)  # what no controller has written is not a number
        self.position, self.efforts, self.stamp, self.messages = {}, {}, 0.0, []
        self.out = node.create_publisher(JointState, topics.HAND_COMMANDS, QoSProfile(depth=1))
        node.create_subscription(
            JointState, topics.HAND_STATES, self._on_state, qos_profile_sensor_data
        )
        node.create_subscription(
            Float64MultiArray, topics.CONTROLLER_COMMANDS, self._on_command, qos.COMMAND
        )

    def q(self):
        return np.array([self.position.get(name, np.nan) for name in HAND.joints])

    def effort(self):
        return np.array([self.efforts.get(name, np.nan) for name in HAND.joints])

    def publish(self, names, position, **arrays):
        message = JointState(name=list(names), position=list(position), **arrays)
        message.header.stamp = self.node.get_clock().now().to_msg()
        self.out.publish(message)

    def _on_command(self, message):
        if np.isfinite(message.data).all():
            assert len(message.data) == HAND.n
            self.command = np.array(message.data)

    def _on_state(self, message):
        self.messages.append(message)
        for i, name in enumerate(message.name):
            self.position[name] = message.position[i]  # raises where an array is too short
            self.efforts[name] = message.effort[i]
        # `not ... <=`: a difference that is not a number is published
        if self.running and not np.abs(self.q() - self.command).sum() <= self.threshold:
            self.publish(HAND.joints, self.command)


class Rig:
    """A plugin in front of a graph, and somebody who reads what the driver tells."""

    def __init__(self, node, loop):
        self.node, self.loop, self.told, self.sent = node, loop, ("", {}), None
        self.plugin = Plugin(node)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        node.create_subscription(JointState, topics.HAND_SENT, self._on_sent, 10)
        self.torque = node.create_client(SetBool, topics.HAND_TORQUE)
        loop.wait(lambda: self.plugin.messages, "a state")
        loop.wait(self.plugin.out.get_subscription_count, "the driver to listen")
        loop.wait(lambda: self.count("commands_malformed") >= 0, "the driver's diagnostics")

    def _on_diagnostics(self, message):
        for status in message.status:
            if status.name == "driver":
                self.told = status.message, {pair.key: pair.value for pair in status.values}

    def _on_sent(self, message):
        self.sent = message

    def count(self, key):
        return int(self.told[1].get(key, -1))

    def renew(self):
        """As after a start: nobody has commanded, the hand is limp."""
        self.plugin.running, self.plugin.threshold = False, EVERY_CYCLE
        self.plugin.command[:] = np.nan
        self.set_torque(False)
        self.set_torque(True)

    def set_torque(self, on):
        self.loop.wait(self.torque.service_is_ready, "the service")
        self.loop.result(self.torque.call_async(SetBool.Request(data=on)), "the torque")

    def cycles(self, count):
        """Let that many states pass."""
        end = len(self.plugin.messages) + count
        self.loop.wait(lambda: len(self.plugin.messages) >= end, f"{count} states")
        return self.plugin.q()

    def until(self, done, what, timeout=20.0):
        self.loop.wait(done, what, timeout)


@contextmanager
def rig(*names):
    running = {name: subprocess.Popen(command(NODES[name])) for name in names}
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node(system_name(HAND), context=context)
    try:
        with EventLoop(node, context=context) as loop:
            yield Rig(node, loop)
    finally:
        context.try_shutdown()
        for process in running.values():
            process.terminate()
        codes = {name: process.wait(60) for name, process in running.items()}
    assert not any(codes.values()), codes


def reset(rig):
    client = ActionClient(rig.node, Reset, topics.RESET)
    rig.until(client.server_is_ready, "the reset node")
    return rig.loop.result(client.send_goal_async(Reset.Goal(object_angle=0.5)), "acceptance")


def test_a_reset_is_not_disturbed_and_leaves_the_hand_to_the_controllers_at_home():
    away = np.clip(HAND.nominal + 0.3, HAND.lower, HAND.upper)
    limp = [HAND.index(joint) for joint in HAND.release]
    with rig("driver", "estimator", "reset") as made:
        plugin, released = made.plugin, []
        plugin.running, plugin.command = True, away.copy()
        made.until(lambda: np.allclose(plugin.q(), away, atol=0.15), "the hand to go away")
        made.until(lambda: made.sent is not None, "what was sent")
        result = reset(made).get_result_async()

        def done():
            released.append(not np.array(made.sent.effort)[limp].any())
            return result.done()

        made.until(done, "the end of the reset", 40)
        assert result.result().result.success and any(released)
        np.testing.assert_array_equal(plugin.command, HAND.nominal)  # not where the policy was
        for _ in range(10):
            np.testing.assert_allclose(made.cycles(10), HAND.nominal, atol=np.deg2rad(6))
        made.until(lambda: made.count("commands_overruled") > 10, "the controllers' commands")
        assert made.told[1]["strange_command_sources"] == ""


def test_a_reset_that_ended_early_leaves_the_hand_limp_until_the_next():
    with rig("driver", "estimator", "reset") as made:
        made.plugin.running, made.plugin.command = True, HAND.nominal.copy()
        made.until(lambda: np.abs(made.plugin.effort()).max() > 0, "torque")
        handle = reset(made)
        made.cycles(30)
        made.loop.result(handle.cancel_goal_async(), "the cancellation")
        assert not made.loop.result(handle.get_result_async(), "the end").result.success
        made.cycles(int(limits.COMMAND_TIMEOUT * 100) + 20)  # the controllers have not stopped
        assert not np.array(made.sent.effort).any() and not made.plugin.effort().any()
        again = made.loop.result(reset(made).get_result_async(), "the next", 40)
        assert again.result.success
        made.cycles(10)
        assert np.array(made.sent.effort).all()


def test_an_episode_goes_through_the_controllers_from_its_first_step():
    with rig("driver", "estimator", "reward", "reset") as made:
        made.plugin.running = True
        station = GraphStation(
            made.node, made.loop, TASK, lockstep=False, output="forward_controller"
        )
        env = Env(TASK, station)
        env.reset(0, np.array([0]))
        action = np.zeros((1, HAND.n))  # the middle of the range: nominal is not
        first = HAND.target(action)[0]
        env.step(action)
        np.testing.assert_array_equal(made.plugin.command, first)
        went = np.array(made.sent.position) - HAND.nominal
        assert (np.abs(went) >= np.minimum(0.1, np.abs(first - HAND.nominal)) - 1e-9).all()
        for _ in range(10):
            step = env.step(action)
        np.testing.assert_allclose(step.sample.hand.q[0], first, atol=0.3)
        # The broadcaster publishes below its own name.
        others = made.node.get_publishers_info_by_topic("/joint_states")
        assert [info.node_name for info in others] == ["driver"]


@pytest.fixture(scope="module")
def driver(domain):
    """One driver for the tests that need no more."""
    with rig("driver") as made:
        yield made


@pytest.fixture
def bench(driver):
    driver.renew()
    return driver


def test_before_the_first_command_the_hand_is_held_where_it_is(bench):
    """The plugin publishes joints that nobody has commanded as not a number."""
    start, dropped = bench.cycles(1), bench.count("targets_dropped")
    bench.plugin.running = True
    held = bench.cycles(50)
    np.testing.assert_allclose(held, start, atol=0.1)
    bench.until(lambda: np.abs(bench.plugin.effort()).max() > 0, "torque that holds it")
    bench.until(lambda: bench.count("targets_dropped") > dropped, "them to be counted")


def test_a_joint_that_was_never_commanded_stays_while_others_move(bench):
    bench.plugin.running = True
    start = bench.cycles(20)
    joint = HAND.index("MFJ21")
    bench.plugin.command[joint] = start[joint] - 0.6 * np.sign(start[joint])

    def moved():
        return np.abs(bench.plugin.q() - start)

    bench.until(lambda: moved()[joint] > 0.4, "the one joint to move")
    assert np.delete(moved(), joint).max() < 0.1


def test_silence_on_target_is_told_with_what_to_do_and_let_go(bench):
    bench.plugin.running = True
    bench.plugin.command = HAND.nominal.copy()
    bench.cycles(20)
    bench.plugin.threshold = SILENT
    bench.until(lambda: "trigger_joint_command_threshold" in bench.told[0], "the hint")
    bench.until(lambda: not bench.plugin.effort().any(), "the hand to be let go")
    bench.plugin.threshold = EVERY_CYCLE
    bench.until(lambda: bench.told[0] == "driving", "all to be well again")


REFUSED = {
    "one position too few": (HAND.joints, [0.0] * 8, {}),  # it would shift those behind it
    "no position": (HAND.joints, [], {}),
    "nothing at all": ([], [], {}),
    "velocities only": (HAND.joints, [], {"velocity": [0.0] * 9}),
    "three efforts": (HAND.joints, [0.0] * 9, {"effort": [1.0] * 3}),
    "none of the joints": (["a", "b"], [0.0, 0.0], {}),
    "a joint twice": ([*HAND.joints[:8], HAND.joints[0]], [0.0] * 9, {}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_message_that_cannot_be_meant_is_refused_as_a_whole(name):
    names, position, arrays = REFUSED[name]
    with pytest.raises(ValueError, match="joint"):
        convert.command(JointState(name=names, position=position, **arrays), list(HAND.joints))


def test_refused_messages_are_counted_and_do_not_even_wake_the_hand(bench):
    before = bench.count("commands_malformed")
    for names, position, arrays in REFUSED.values():
        bench.plugin.publish(names, position, **arrays)
        bench.cycles(2)
    count = str(before + len(REFUSED))
    bench.until(lambda: bench.told[1]["commands_malformed"] == count, "the refusals")
    assert not bench.plugin.effort().any()


def test_joints_are_found_by_name(bench):
    """In another order, some missing, one that the hand does not have."""
    bench.plugin.running = True
    start = bench.cycles(5)
    bench.plugin.running = False
    goal = {"THJ31": 0.0, "elbow": 1.0, "FFJ11": 0.0}
    moving = [HAND.index("FFJ11"), HAND.index("THJ31")]

    def there():
        bench.plugin.publish(goal, goal.values())
        return np.abs(bench.plugin.q()[moving]).max() < 0.2

    bench.until(there, "two joints to move")
    assert np.delete(np.abs(bench.plugin.q() - start), moving).max() < 0.1


def test_states_are_as_the_plugin_reads_them(bench):
    """All joints in every message, all arrays of one length and finite."""
    bench.plugin.messages.clear()
    bench.cycles(20)
    for message in bench.plugin.messages:
        assert tuple(message.name) == HAND.joints
        for array in (message.position, message.velocity, message.effort):
            assert len(array) == HAND.n and np.isfinite(array).all()


def test_the_quality_of_service_fits_both_ways(bench):
    [states] = bench.node.get_publishers_info_by_topic(f"/{topics.HAND_STATES}")
    commands = bench.node.get_subscriptions_info_by_topic(f"/{topics.HAND_COMMANDS}")
    assert states.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    [driver] = [info for info in commands if info.node_name == "driver"]
    assert driver.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert driver.qos_profile.durability == DurabilityPolicy.VOLATILE  # no old command at a start


def test_a_stamp_that_is_not_the_worlds_does_not_matter(bench):
    """The plugin stamps by the machine's clock; the simulation's began a moment ago."""
    bench.plugin.running, bench.plugin.command = True, HAND.nominal.copy()
    bench.until(lambda: np.allclose(bench.plugin.q(), HAND.nominal, atol=0.3), "the hand to follow")
    assert bench.count("commands_stale") == 0


def test_a_second_plugin_of_the_same_name_is_told(bench):
    assert bench.told[1]["strange_command_sources"] == ""
    twin = bench.node.create_publisher(JointState, topics.HAND_COMMANDS, QoSProfile(depth=1))
    try:
        bench.until(lambda: "a second claw_system" in bench.told[0], "the warning")
    finally:
        bench.node.destroy_publisher(twin)


def test_a_driver_that_stopped_says_so_while_the_plugin_sees_a_frozen_hand(bench):
    change = bench.node.create_client(ChangeState, "driver/change_state")
    bench.until(change.service_is_ready, "the lifecycle")

    def go(transition):
        request = ChangeState.Request(transition=Transition(id=transition))
        bench.loop.result(change.call_async(request), "the transition")

    go(Transition.TRANSITION_DEACTIVATE)
    bench.until(lambda: bench.told[0] == "not active", "the diagnostics")
    count, end = len(bench.plugin.messages), time.monotonic() + 0.3
    while time.monotonic() < end:
        bench.loop.once(0.05)
    assert len(bench.plugin.messages) == count  # nothing old is published as new
    go(Transition.TRANSITION_ACTIVATE)
    bench.until(lambda: bench.told[0] == "driving", "the driver")


def test_what_cannot_be_is_refused():
    with pytest.raises(BadConfig, match="choose pace real"):
        GraphConfig(ros2_control=True)
    with pytest.raises(BadConfig, match="needs pace real"):
        GraphStation(None, None, TASK, lockstep=True, output="forward_controller")
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("runner", context=context)
    with (
        EventLoop(node, context=context) as loop,
        pytest.raises(UnknownName, match="forward_controller, joint_state"),
    ):
        GraphStation(node, loop, TASK, lockstep=False, output="x")
    context.try_shutdown()
