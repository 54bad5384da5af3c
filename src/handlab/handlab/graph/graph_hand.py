"""A hand that a running graph drives, through the services of its drivers."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from handlab.graph import ros_environment
from handlab.graph.emergency_stop import DriverSwitch
from handlab.graph.running_graphs import RunningGraph, chosen_graph
from handlab.operation.report import FAULT, OK, WARNING, HandReport, JointReport, NodeReport
from handlab_core.errors import BadConfig, StationFault, StationTimeout, UnknownName, said
from handlab_core.hands import HANDS, Hand, make_hand
from handlab_data.flight_record import ROBOT
from handlab_interfaces.msg import HandStatus
from handlab_interfaces.srv import Calibrate, Jog, JointTorque, Reboot
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime import diagnostics
from handlab_nodes.runtime.event_loop import EventLoop, guest
from handlab_nodes.runtime.inbox import Inbox

DISCOVERY = 10.0
"""s; time for the nodes of a domain to be found; on a busy machine DDS needs seconds."""

ANSWER = 15.0
"""s; time for a driver to answer; a calibration asks every servo."""

ROUND = 1.2
"""s; time in which every node reports once; they do so each second (REP 107)."""

LEVELS = {diagnostics.OK: OK, diagnostics.WARN: WARNING, diagnostics.ERROR: FAULT}

ONCE = (Calibrate, Reboot)
"""Services that must not be called twice, although an answer may be lost."""

NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class GraphHand:
    """Implements `handlab.operation.operated_hand.OperatedHand` by the services of drivers.

    Args:
        node: node of this process in the graph's domain.
        loop: its event loop.
        place: the graph, for people.

    Raises:
        StationFault: no driver answers in the domain.
    """

    def __init__(self, node: Node, loop: EventLoop, place: str) -> None:
        self._node, self._loop, self.place = node, loop, place
        self._clients: dict[str, Any] = {}
        self._states: dict[str, tuple[float, float]] = {}  # rad and N m, by joint
        self._joints = frozenset[str]()  # of the hand, once it is known
        self._measured_at = -math.inf  # s; newest stamp of the hand's states
        self._targets: dict[str, float] = {}
        self._status: dict[str, tuple[float, float, int, bool]] = {}
        self._nodes: dict[str, NodeReport] = {}
        self._described = ""
        """Name of the hand in the description."""
        hear, joints = Inbox.of(node).subscribe, convert.decoder(JointState, convert.named_efforts)
        hear(JointState, topics.JOINT_STATES, joints, self._on_states, NEWEST)
        hear(JointState, topics.HAND_SENT, joints, self._on_sent, NEWEST)
        for topic in (topics.HAND_STATUS, topics.FIXTURE_STATUS):
            status = convert.decoder(HandStatus, _checked_status)
            hear(HandStatus, topic, status, self._on_status, qos.REPORT)
        everything = convert.decoder(DiagnosticArray, lambda message: message)
        hear(DiagnosticArray, topics.DIAGNOSTICS, everything, self._on_diagnostics, qos.EVERY)
        description = convert.decoder(String, lambda message: message.data)
        hear(String, topics.DESCRIPTION, description, self._on_description, qos.LATCHED)
        self._drivers: list[str] = []
        self._until(self._find_drivers, DISCOVERY, f"no driver answers in {place}")
        self._until(
            lambda: self._states and self._status,
            DISCOVERY,
            f"the driver in {place} publishes no joint states: see `./handlab doctor`",
        )
        self.hand = self._find_hand()
        self._joints = frozenset(self.hand.joints)

    def _find_drivers(self) -> bool:
        services = {name.strip("/") for name, _ in self._node.get_service_names_and_types()}
        self._drivers = [
            driver
            for driver in topics.DRIVERS
            if topics.of_driver(driver, topics.EMERGENCY_STOP) in services
        ]
        return bool(self._drivers)

    def _find_hand(self) -> Hand:
        """Return the hand that has these joints; the description tells equal hands apart."""
        found = {n: hand for n in HANDS if set((hand := make_hand(n)).joints) <= set(self._states)}
        if not found:
            raise StationFault(f"the joints of {self.place} are those of no hand of handlab")
        if len(found) == 1:
            return next(iter(found.values()))
        several = f"the joints of {self.place} are those of {', '.join(found)}"
        self._until(
            lambda: self._described in found,
            DISCOVERY,
            f"{several}, and its {topics.DESCRIPTION} names none of them",
        )
        return found[self._described]

    # Topics.

    def _on_states(self, read: tuple[float, dict[str, tuple[float, float]]]) -> None:
        stamp, states = read
        self._states |= {name: s for name, s in states.items() if math.isfinite(s[0])}
        if not self._joints.isdisjoint(states):
            self._measured_at = stamp

    def _on_sent(self, read: tuple[float, dict[str, tuple[float, float]]]) -> None:
        _, goals = read
        self._targets |= {
            name: position if effort > 0.0 else math.nan
            for name, (position, effort) in goals.items()
        }

    def _on_status(self, message: HandStatus) -> None:
        rows = zip(
            message.name, message.temperature, message.voltage, message.hardware_error, strict=True
        )
        for name, temperature, voltage, error in rows:
            self._status[name] = temperature, voltage, error, message.torque

    def _on_description(self, description: str) -> None:
        if (names := ROBOT.search(description)) is not None:
            self._described = names[1]

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            level = LEVELS.get(status.level, FAULT)
            report = NodeReport(said(status.name), level, said(status.message))
            self._nodes[report.name] = report

    # Verbs.

    def report(self) -> HandReport:
        """See `OperatedHand.report`."""
        self._loop.rest(ROUND)
        others = [name for name in self._states if name not in self.hand.joints]
        joints = []
        for name in (*self.hand.joints, *others):
            position, effort = self._states[name]
            celsius, volts, error, torque = self._status.get(name, (math.nan, math.nan, 0, False))
            problem = f"reports hardware error {error}: see the driver's words" if error else ""
            joints.append(
                JointReport(
                    name, "", position, self._targets.get(name, math.nan), effort, celsius, volts,
                    torque, problem,
                )
            )  # fmt: skip
        nodes = tuple(self._nodes[name] for name in sorted(self._nodes))
        return HandReport(self.place, tuple(joints), nodes)

    def torque_on(self, joints: tuple[str, ...]) -> Callable[[], None] | None:
        """See `OperatedHand.torque_on`."""
        self._set_torque(joints, True)
        return None

    def torque_off(self, joints: tuple[str, ...]) -> None:
        """See `OperatedHand.torque_off`."""
        self._set_torque(joints, False)

    def _set_torque(self, joints: tuple[str, ...], on: bool) -> None:
        if joints:
            for driver, names in self._by_driver(joints).items():
                request = JointTorque.Request(joints=names, torque=on)
                self._ask(JointTorque, topics.of_driver(driver, topics.JOINT_TORQUE), request)
            return
        request = SetBool.Request(data=on)
        self._ask(SetBool, topics.HAND_TORQUE, request)
        if not on:
            self._ask(SetBool, topics.FIXTURE_TORQUE, request)

    def calibrate(self, overwrite: bool, force: bool) -> str:
        """See `OperatedHand.calibrate`."""
        request = Calibrate.Request(overwrite=overwrite, force=force)
        name = topics.of_driver(self._drivers[0], topics.CALIBRATE)
        return str(self._ask(Calibrate, name, request).message)

    def reboot(self, joint: str) -> str:
        """See `OperatedHand.reboot`."""
        [driver] = self._by_driver((joint,))
        name = topics.of_driver(driver, topics.REBOOT)
        self._ask(Reboot, name, Reboot.Request(joint=joint))
        return f"{joint} restarts; its group holds until it is back"

    def position(self, joint: str) -> float:
        """See `OperatedHand.position`."""
        self.hand.index(joint)
        self._loop.once(0.0)
        return self._states[joint][0]

    def measured_at(self) -> float:
        """See `OperatedHand.measured_at`."""
        return self._measured_at

    def step(self, joint: str, position: float, alone: bool) -> float:
        """See `OperatedHand.step`."""
        self.hand.index(joint)
        request = Jog.Request(joint=joint, position=position, alone=alone)
        name = topics.of_driver(self._drivers[0], topics.JOG)
        return float(self._ask(Jog, name, request).target)

    def check(self) -> None:
        """See `OperatedHand.check`."""
        self._loop.once(0.0)
        driver = self._nodes.get(self._drivers[0])
        if driver is not None and driver.level == FAULT:
            raise StationFault(f"{driver.name}: {driver.message}")

    @property
    def switch(self) -> DriverSwitch:
        """See `OperatedHand.switch`."""
        return DriverSwitch(self._node, self._drivers)

    def _by_driver(self, joints: tuple[str, ...]) -> dict[str, list[str]]:
        """Return the joints that each driver serves."""
        found: dict[str, list[str]] = {}
        for joint in joints:
            if joint not in self._states:
                raise UnknownName("joint", joint, self._states)
            first, last = self._drivers[0], self._drivers[-1]
            found.setdefault(first if joint in self.hand.joints else last, []).append(joint)
        return found

    def _ask(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service.

        Raises:
            StationFault: it refuses; the message gives the reason.
            StationTimeout: it does not answer.
        """
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self._node.create_client(kind, name)
        if kind in ONCE:
            self._loop.wait(client.service_is_ready, name, DISCOVERY)
            answer = self._loop.result(client.call_async(request), name, ANSWER)
        else:
            answer = self._loop.ask(client, request, name, ANSWER)
        if not answer.success:
            raise StationFault(answer.message or f"the service {name} refused")
        return answer

    def _until(self, done: Callable[[], Any], patience: float, reason: str) -> None:
        """Handle events until `done()`; raise StationTimeout with a reason after the patience."""
        end = time.monotonic() + patience
        while not done():
            if time.monotonic() > end:
                raise StationTimeout(reason)
            self._loop.once(0.05)


def keep_last(domain: int | None) -> str:
    """Have the recorder of a graph write its newest seconds; return the path of the bag.

    Args:
        domain: ROS domain id; None: the only graph of this machine.

    Raises:
        BadConfig: no graph runs, or several.
        StationFault: the graph has no such recorder, or it cannot write.
    """
    graph = chosen_graph(domain)
    if graph is not None and "recorder" not in graph.nodes:
        raise StationFault(f"{graph} has no recorder: start it with --keep-last 30")
    with _joined(graph, domain) as (node, loop, place):
        client = node.create_client(Trigger, topics.KEEP)
        loop.wait(client.service_is_ready, f"the recorder of {place}", DISCOVERY)
        answer = loop.result(client.call_async(Trigger.Request()), topics.KEEP, ANSWER)
    if not answer.success:
        raise StationFault(f"the recorder: {answer.message}")
    return str(answer.message)


@contextmanager
def graph_hand(graph: RunningGraph | None, domain: int | None) -> Iterator[GraphHand]:
    """Join a graph as a client of its drivers.

    Args:
        graph: graph of this machine; None: that of the domain, as `ros2 launch` starts one.
        domain: ROS domain id; None: the graph's.

    Raises:
        BadConfig: the shell's variables stand in the way.
        StationTimeout: no driver answers.
    """
    with _joined(graph, domain) as (node, loop, place):
        yield GraphHand(node, loop, place)


def _checked_status(message: HandStatus) -> HandStatus:
    """Return a message; raise ValueError if a joint lacks a value."""
    sizes = {len(values) for values in (message.temperature, message.voltage)}
    if sizes | {len(message.hardware_error)} != {len(message.name)}:
        raise ValueError(f"{len(message.name)} joints do not fit the numbers of values")
    return message


@contextmanager
def _joined(
    graph: RunningGraph | None, domain: int | None
) -> Iterator[tuple[Node, EventLoop, str]]:
    """Join a domain; yield a node, its event loop, and the graph for people."""
    number = graph.domain if graph is not None else domain
    if number is None:
        raise BadConfig("no graph runs: start one by `./handlab up`")
    place = f"{graph.words}, ROS_DOMAIN_ID={number}" if graph else f"ROS_DOMAIN_ID={number}"
    with _choosing(number), guest("_handlab_bench", number) as (node, loop):
        yield node, loop, place


@contextmanager
def _choosing(domain: int) -> Iterator[None]:
    """Choose a domain as a user of the shell does; a graph that starts later has its own again."""
    variable = "ROS_DOMAIN_ID"
    before = os.environ.get(variable)
    os.environ[variable] = str(domain)
    try:
        ros_environment.prepare()
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
