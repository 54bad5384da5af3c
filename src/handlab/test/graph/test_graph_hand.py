"""The verbs of the bench find the graph that runs, and use its services instead of its bus."""

import json
import math
import os
import subprocess
import sys
import threading
import time

import pytest
import rclpy
from rclpy.context import Context
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool

from handlab.emulation.emulated_hands import emulated_graph
from handlab.graph.config import GraphConfig
from handlab.graph.graph_hand import graph_hand
from handlab.graph.ros_domain import Domain
from handlab.graph.running_graphs import chosen_graph
from handlab.operation.motion import move
from handlab_core.errors import StationFault, UnknownName
from handlab_core.hands import make_hand
from handlab_hardware.dynamixel.emulator.faults import Fault
from handlab_hardware.station_file import load_station, station_path
from handlab_interfaces.msg import HandStatus
from handlab_nodes.messages import qos, topics

IDS = {servo.joint: servo.id for servo in load_station(station_path("claw")).dynamixel.servos}


def verb(*words):
    """Run a verb to its end: code, standard output, standard error."""
    command = [sys.executable, "-m", "handlab.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.timeout(300)
def test_every_verb_works_through_a_graph_that_runs(tmp_path):
    config = GraphConfig("pose", runner=False, learner=False)
    with emulated_graph(config, tmp_path) as (port, graph):
        servos = port.bus.loop.servos
        torque = lambda id: next(s for s in servos if s.id == id).table.get("torque_enable")  # noqa: E731
        running = chosen_graph(graph.domain)
        end = time.monotonic() + 100.0
        while not torque(IDS["FFJ10"]):  # until the driver holds the hand for the first time
            assert time.monotonic() < end, "the driver does not start"
            time.sleep(0.1)
        with graph_hand(running, None) as hand:
            # Nothing else commands the hand, so that its watchdog has let it go.
            start = hand.position("FFJ10")
            reached = move(hand, "FFJ10", start + 0.2, False)
            assert reached == pytest.approx(start + 0.2, abs=0.1)
            assert torque(IDS["FFJ10"]) and torque(IDS["MFJ20"])
            with pytest.raises(UnknownName, match="thumb"):
                hand.step("thumb", 0.0, False)
            hand.torque_off(("FFJ10",))
            with pytest.raises(StationFault):
                hand.calibrate(False, False)  # far from the zero pose
            assert hand.switch.has_drivers
        # Another program finds the graph by its port, although the bus is the driver's.
        code, said, _ = verb("status", "--port", str(tmp_path / "port"), "--json")
        figures = json.loads(said.splitlines()[-1])
        assert {servo["joint"] for servo in figures["servos"]} == set(IDS), said
        assert {"driver", "reward", "reset"} <= {node["name"] for node in figures["nodes"]}
        port.inject(Fault("overload", id=12))
        code, said, _ = verb("status", "--domain", str(graph.domain))
        assert code == 1 and "overload" in said, said
        code, said, shown = verb("reboot", "FFJ12", "--port", str(tmp_path / "port"))
        assert code == 0 and "FFJ12 restarts" in said, shown
        code, said, shown = verb("torque", "off", "--port", str(tmp_path / "port"))
        assert code == 0, shown
        assert not any(torque(id) for id in IDS.values())
    assert chosen_graph(graph.domain) is None


def test_a_domain_without_a_driver_is_named():
    code, _, said = verb("status", "--domain", "87")
    assert code == 1 and "no driver answers in ROS_DOMAIN_ID=87" in said


@pytest.fixture
def domain(monkeypatch):
    """Claim a domain for one test."""
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    claimed = Domain()
    yield claimed.id
    claimed.release()


class PublishedHand:
    """What a driver publishes of a hand at rest, and what a stranger adds to it."""

    def __init__(self, domain, hand):
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.driver = rclpy.create_node("driver", context=self._context)
        self.stranger = rclpy.create_node("stranger", context=self._context)
        name = topics.of_driver("driver", topics.EMERGENCY_STOP)
        self.driver.create_service(SetBool, name, lambda request, response: response)
        description = self.driver.create_publisher(String, topics.DESCRIPTION, qos.LATCHED)
        description.publish(String(data=f'<robot name="{hand.name}_valve"></robot>'))
        joints, zeros = list(hand.joints), [0.0] * hand.n
        self._messages = {
            topics.JOINT_STATES: JointState(name=joints, position=zeros, effort=zeros),
            topics.HAND_STATUS: HandStatus(
                name=joints, temperature=zeros, voltage=zeros, hardware_error=[0] * hand.n
            ),
        }
        self._publishers = {
            (node, topic): node.create_publisher(type(message), topic, qos.REPORT)
            for node in (self.driver, self.stranger)
            for topic, message in self._messages.items()
        }
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def _publish(self):
        while not self._stopping.wait(0.05):
            for topic, message in self._messages.items():
                self._publishers[self.driver, topic].publish(message)

    def disturb(self, node, topic, message):
        self._publishers[node, topic].publish(message)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()
        self.driver.destroy_node()
        self.stranger.destroy_node()
        self._context.shutdown()


def test_hands_with_the_same_joints_are_told_apart(domain):
    assert set(make_hand("leap").joints) == set(make_hand("allegro").joints)
    for name in ("leap", "allegro"):
        with PublishedHand(domain, make_hand(name)), graph_hand(None, domain) as hand:
            assert hand.hand.name == name


def test_a_graph_that_starts_after_a_verb_has_a_domain_of_its_own(domain, monkeypatch):
    with PublishedHand(domain, make_hand("claw")), graph_hand(None, domain):
        pass
    other = Domain()
    assert other.id != domain
    other.release()
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    with PublishedHand(domain, make_hand("claw")), graph_hand(None, domain):
        pass
    assert os.environ["ROS_DOMAIN_ID"] == "7"


def test_no_message_of_a_stranger_or_of_another_shape_ends_a_verb(domain):
    claw = make_hand("claw")
    joint, far = claw.joints[0], [1.0] * claw.n
    with PublishedHand(domain, claw) as published, graph_hand(None, domain) as hand:
        for node in (published.driver, published.stranger):
            for topic, message in (
                (topics.HAND_STATUS, HandStatus(name=[joint], temperature=[1.0, 2.0])),
                (topics.HAND_STATUS, HandStatus(name=[joint])),
                (topics.JOINT_STATES, JointState(name=[joint], position=[math.nan], effort=[0.0])),
                (topics.JOINT_STATES, JointState(name=[joint])),
                (topics.JOINT_STATES, JointState(position=far)),
            ):
                published.disturb(node, topic, message)
        moved = JointState(name=list(claw.joints), position=far, effort=far)
        published.disturb(published.stranger, topics.JOINT_STATES, moved)
        report = hand.report()
        assert {row.position for row in report.joints} == {0.0}
        assert hand.position(joint) == 0.0
        drops = hand._node.inbox.drops
        assert drops[topics.HAND_STATUS].count - drops[topics.HAND_STATUS].foreign == 2
        assert drops[topics.JOINT_STATES].foreign >= 1
