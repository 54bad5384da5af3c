"""A simulated graph to the tools of others: every node follows the world's clock, and only that;
all joints are in `joint_states`."""

import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from handlab.graph.config import GraphConfig, build_graph
from handlab.graph.processes import command
from handlab_core.environment.station import start_request
from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.tasks import make_task
from handlab_interfaces.srv import Teleport
from handlab_nodes.clients.graph_station import GraphStation
from handlab_nodes.driver.publishers import CLOCK_RATE, JOINT_STATES_RATE, DriverPublishers
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.event_loop import EventLoop
from handlab_nodes.runtime.serialized import OPTIONS, REPETITION
from handlab_nodes.runtime.simulated_clock import is_simulated
from handlab_sim.backend import MujocoBackend
from handlab_sim.urdf import station_urdf

TASK = make_task("valve")
CLOSED = GraphConfig(runner=False, learner=False)


@contextmanager
def processes(*words):
    """Programs that end when asked to."""
    running = [subprocess.Popen(line) for line in words]
    try:
        yield
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            assert process.wait(60) == 0


@contextmanager
def listening(config=CLOSED, namespaces=("",)):
    """Graphs, one in each namespace, and a node beside them."""
    words = [
        [*command(node), "-r", f"__ns:=/{namespace}"]
        for namespace in namespaces
        for node in build_graph(config)
    ]
    context = rclpy.Context()
    with processes(*words):
        rclpy.init(context=context)
        node = rclpy.create_node("runner", context=context, namespace=namespaces[0])
        try:
            with EventLoop(node, context=context) as loop:
                yield node, loop
        finally:
            context.try_shutdown()


class Heard:
    """Stamps [s] of a topic's messages and when they came.

    An old state that a stream repeats for a node that appears is left out; a busy machine may
    discover such a node at any time.
    """

    def __init__(self, node, kind, topic, of=lambda message: message.header.stamp, depth=1000):
        self.stamps, self.arrivals, self._of, self._kind = [], [], of, kind
        node.create_subscription(kind, topic, self._on_message, depth, raw=True)

    def _on_message(self, data):
        stamp = convert.from_stamp(self._of(deserialize_message(data, self._kind)))
        if data[OPTIONS] != REPETITION or stamp > max(self.stamps, default=-1.0):
            self.stamps.append(stamp)
            self.arrivals.append(time.monotonic())

    def never_back(self):
        return all(a <= b for a, b in zip(self.stamps, self.stamps[1:], strict=False))


def clock(node, topic="/clock"):
    return Heard(node, Clock, topic, lambda message: message.clock)


def spin(loop, seconds):
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        loop.once(left)


@pytest.mark.parametrize("pace", ["lockstep", "real"])
def test_every_node_of_a_simulated_graph_follows_its_namespaces_clock(pace):
    for node in build_graph(GraphConfig(pace=pace, bag="x", viewer=True)):
        assert node.parameters["use_sim_time"] is True, node.name
        assert node.remappings["/clock"] == "clock"


@pytest.mark.parametrize(
    "config",
    [
        GraphConfig(hardware="dynamixel", pace="real"),
        GraphConfig(hardware="dynamixel", pace="real", port="/dev/x", emulate=True),
        GraphConfig("allegro_valve", hardware="allegro", pace="real"),
    ],
)
def test_where_time_is_not_simulated_no_node_follows_a_clock(config):
    assert all("use_sim_time" not in node.parameters for node in build_graph(config))


def test_the_clock_is_slow_enough_to_wake_for_and_ends_with_the_newest_stamp():
    with listening() as (node, loop):
        clocks = clock(node)
        states = Heard(node, JointState, topics.HAND_STATES, depth=qos.STREAM)
        diagnostics = Heard(node, DiagnosticArray, "/diagnostics")
        station = GraphStation(node, loop, TASK, lockstep=True)
        loop.wait(lambda: clocks.stamps and states.stamps, "the driver")
        station.reset(start_request(TASK, 0, np.array([0]), teleport=True))
        began, steps = time.monotonic(), 0
        while time.monotonic() - began < 2.0:
            station.step(TASK.hand.nominal[None, :])
            steps += 1
        ended = time.monotonic()
        loop.wait(lambda: clocks.stamps[-1] == states.stamps[-1], "the newest stamp")
        during = sum(began < at < ended for at in clocks.arrivals)
        assert steps >= during > 0 and during <= (ended - began) * CLOCK_RATE * 1.1 + 1
        assert clocks.never_back() and states.never_back()
        late = clock(node)  # as a node that is started while the world rests
        loop.wait(lambda: late.stamps, "the time of a world that rests")
        diagnostics.stamps.clear()
        newest = [states.stamps[-1]] * len(build_graph(CLOSED))  # an older one may be on its way
        loop.wait(lambda: diagnostics.stamps[-len(newest) :] == newest, "/diagnostics")


@pytest.mark.parametrize("lockstep", [True, False])
def test_the_state_of_a_simulation_is_published_where_a_replay_is_exact(domain, lockstep):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("driver", context=context)
    names = {"hand": list(TASK.hand.joints), "fixture": [TASK.fixture.joint]}
    DriverPublishers(node, names, tuple(names), CLOCK_RATE, lockstep)
    published = {publisher.topic_name for publisher in node.publishers}
    node.destroy_node()
    context.shutdown()
    assert (f"/{topics.SIMULATION_STATE}" in published) == lockstep
    assert f"/{topics.HAND_SENT}" in published


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.parametrize("clock_rate", [CLOCK_RATE, None])
def test_a_robot_is_known_as_simulated_in_either_pace(domain, lockstep, clock_rate):
    """What friction a fingertip's force is estimated with depends on it."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("driver", context=context)
    names = {"hand": list(TASK.hand.joints), "fixture": [TASK.fixture.joint]}
    DriverPublishers(node, names, tuple(names), clock_rate, lockstep)
    found = is_simulated(node)
    node.destroy_node()
    context.shutdown()
    assert found == (clock_rate is not None)


@pytest.mark.parametrize("pace", ["lockstep", "real"])
def test_stamps_never_go_back(pace):
    """Whatever is asked of the driver's life cycle, and over a teleport."""
    with listening(GraphConfig(pace=pace, runner=False, learner=False)) as (node, loop):
        clocks = clock(node)
        states = Heard(node, JointState, topics.HAND_STATES, depth=qos.STREAM)
        change = node.create_client(ChangeState, "driver/change_state")
        teleport = node.create_client(Teleport, topics.TELEPORT)
        for client in (change, teleport):
            loop.wait(client.service_is_ready, "the driver's services")
        loop.wait(lambda: states.stamps, "the driver")

        def transition(which):
            request = ChangeState.Request(transition=Transition(id=which))
            assert loop.result(change.call_async(request), "the transition").success

        ask = Teleport.Request(object_angle=0.5)
        for _ in range(2):
            assert loop.result(teleport.call_async(ask), "the teleport").success
            for which in (
                Transition.TRANSITION_DEACTIVATE,
                Transition.TRANSITION_CLEANUP,
                Transition.TRANSITION_CONFIGURE,
                Transition.TRANSITION_ACTIVATE,
            ):
                transition(which)
            assert loop.result(teleport.call_async(ask), "the teleport").success
            spin(loop, 0.2)
        spin(loop, 1.2)
        assert states.never_back() and clocks.never_back()
        assert states.stamps[-1] >= 60.0  # two new worlds and four teleports, each 10 s
        near = lambda: abs(clocks.stamps[-1] - states.stamps[-1]) <= 0.1  # noqa: E731
        loop.wait(near, "the newest stamp on the clock", 60.0)


def test_two_simulated_robots_in_one_domain_have_a_clock_each():
    with listening(namespaces=("left", "right")) as (node, loop):
        clocks = {name: clock(node, f"/{name}/clock") for name in ("left", "right")}
        newest = {}

        def on_diagnostics(message):
            newest[message.status[0].name] = convert.from_stamp(message.header.stamp)

        node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 100)
        station = GraphStation(node, loop, TASK, lockstep=True)  # the left one's
        station.reset(start_request(TASK, 0, np.array([0]), teleport=True))
        for _ in range(20):
            station.step(TASK.hand.nominal[None, :])
        loop.wait(lambda: clocks["left"].stamps[-1] > 10.0, "the left robot's clock")
        names = {f"{side}/{n.name}" for side in ("left", "right") for n in build_graph(CLOSED)}
        loop.wait(
            lambda: (
                names <= newest.keys()
                and all(newest[name] > 10.0 for name in names if name.startswith("left/"))
            ),
            "the left robot's time on /diagnostics",
        )
        assert {newest[name] for name in names if name.startswith("right/")} == {0.0}
        assert set(clocks["right"].stamps) == {0.0}
        assert node.count_publishers("/clock") == 0


def moving_joints(hand, fixture):
    return {
        joint.get("name")
        for joint in station_urdf(hand, fixture).iter("joint")
        if joint.get("type") not in (None, "fixed")
    }


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_the_passive_joints_are_those_of_the_description_in_the_simulations_order(name):
    hand, fixture = make_hand("claw"), FIXTURES.make(name)
    known = {*hand.joints, fixture.joint, *fixture.passive}
    assert moving_joints(hand, fixture) == known
    model = MujocoBackend(hand, fixture).model
    order = [model.joint(i).name for i in range(model.njnt)]
    assert [joint for joint in order if joint in fixture.passive] == list(fixture.passive)


def test_every_joint_is_in_joint_states_the_lobes_too_and_the_newest_comes():
    task = make_task("valve_foam")
    with listening(GraphConfig("valve_foam", runner=False, learner=False)) as (node, loop):
        heard, newest = Heard(node, JointState, "/joint_states"), []
        node.create_subscription(JointState, "/joint_states", newest.append, 10)
        states = Heard(node, JointState, topics.HAND_STATES, depth=qos.STREAM)
        station = GraphStation(node, loop, task, lockstep=True)
        loop.wait(lambda: states.stamps, "the driver")
        began = time.monotonic()
        station.reset(start_request(task, 0, np.array([0]), teleport=True))
        for _ in range(100):
            station.step(task.hand.nominal[None, :] + 0.3)
        moved = time.monotonic() - began  # s; a busy machine makes fewer steps than messages
        same = lambda: newest and heard.stamps[-1] == states.stamps[-1]  # noqa: E731
        loop.wait(same, "the newest state", 60.0)
        described = []
        node.create_subscription(
            String, "/robot_description", lambda m: described.append(m.data), qos.LATCHED
        )
        loop.wait(lambda: described, "the description", 60.0)
        robot = ElementTree.fromstring(described[0])
        assert {j.get("name") for j in robot.iter("joint")} >= {*newest[-1].name}
        most = max(len(states.stamps) / 2, 2 * JOINT_STATES_RATE * moved)
        assert heard.never_back() and len(heard.stamps) < most
        message = newest[-1]
        assert set(message.name) == moving_joints(task.hand, task.fixture)
        sizes = {len(message.position), len(message.velocity), len(message.effort)}
        assert sizes == {len(message.name)}
        lobes = [q for n, q in zip(message.name, message.position, strict=True) if "lobe" in n]
        assert np.abs(lobes).max() > 0.0  # bent by weight or fingers
