"""Publishers of a driver: readings, sent commands, time and the state of its motors."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from handlab_core.hardware.lockstep import FIXTURE, HAND
from handlab_core.hardware.motor_status import GroupStatus, StationStatus
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.types import Array, Reading
from handlab_interfaces.msg import HandStatus
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.runtime.stream import Stream
from handlab_nodes.runtime.throttle import Throttle

STATES = {FIXTURE: topics.FIXTURE_STATES, HAND: topics.HAND_STATES}
"""Topics by group; the fixture first, because the way through estimator and reward is longer."""

STATUS = {FIXTURE: topics.FIXTURE_STATUS, HAND: topics.HAND_STATUS}

CLOCK_RATE = 40.0
"""Hz of wall time; rate of /clock. In lockstep the world makes a thousand steps a second, and every
node wakes for every message on /clock. `ros2 bag play --clock` publishes at the same rate
(rosbag2, ros2bag/verb/play.py)."""

JOINT_STATES_RATE = 30.0
"""Hz of wall time; smooth to the eye, and robot_state_publisher publishes 20 by itself."""

NO_JOINTS = np.empty((1, 0))

RESTING = 0.9
"""Seconds; age of the newest pose after which the world is at rest. It is below the period of
reports, 1 s, and far above the period of `joint_states`."""


class DisplayPublishers:
    """Time and pose of a station, at rates that people and their tools can use.

    Args:
        node: owner of the publishers.
        clock_rate: Hz of wall time; limit of /clock. None: time is not simulated, and there is no
            /clock.
    """

    def __init__(self, node: Node, clock_rate: float | None = CLOCK_RATE) -> None:
        self._all = node.create_publisher(JointState, topics.JOINT_STATES, qos.REPORT)
        self._joints = Throttle[Callable[[], JointState]](
            self._publish_joints, 1 / JOINT_STATES_RATE
        )
        self._clock: Throttle[float] | None = None
        if clock_rate is not None:
            self._clocks = node.create_publisher(Clock, topics.CLOCK, qos.CLOCK)
            self._clock = Throttle(self._publish_clock, 1 / clock_rate)

    def offer_time(self, stamp: float) -> None:
        """Publish the time [s] now or later, where it is simulated."""
        if self._clock is not None:
            self._clock.offer(stamp)

    def offer_joints(self, make: Callable[[], JointState]) -> None:
        """Publish now or later all joints that have a reading, as ROS's own tools expect it.

        Args:
            make: makes the message; called only if it is published.
        """
        self._joints.offer(make)

    def flush(self) -> None:
        """Publish the held-back values whose time has come."""
        self._joints.flush()
        if self._clock is not None:
            self._clock.flush()

    def repeat(self, resting: float = RESTING) -> None:
        """Publish the newest time and pose again, for nodes that appear while the world rests.

        Args:
            resting: s; least age of the pose.
        """
        if self._clock is not None:
            self._clock.repeat()
        self._joints.repeat(resting)

    def _publish_joints(self, make: Callable[[], JointState]) -> None:
        if self._all.get_subscription_count():  # a later listener gets the next one
            self._all.publish(make())

    def _publish_clock(self, stamp: float) -> None:
        self._clocks.publish(Clock(clock=convert.to_stamp(stamp)))


class DriverPublishers:
    """Publishers of the groups that one driver serves.

    Args:
        node: owner of the publishers.
        names: joints of each group, by group.
        groups: served groups.
        clock_rate: Hz of wall time; limit of /clock. None: time is not simulated, and there is no
            /clock.
        lockstep: the world waits for the nodes.
        passive: further joints of the fixture; see `Fixture.passive`.
    """

    def __init__(
        self,
        node: Node,
        names: dict[str, list[str]],
        groups: Sequence[str],
        clock_rate: float | None,
        lockstep: bool,
        passive: Sequence[str] = (),
    ) -> None:
        self._names = names
        self._codecs = {group: cdr_codec.JointStates(joints) for group, joints in names.items()}
        self._sent_codec = cdr_codec.Commands(names[HAND])
        self._states = {
            group: Stream(node, JointState, topic, lockstep)
            for group, topic in STATES.items()
            if group in groups
        }
        self._status = {g: node.create_publisher(HandStatus, STATUS[g], 10) for g in groups}
        self._sent = None
        if HAND in groups:
            self._sent = node.create_publisher(JointState, topics.HAND_SENT, qos.STREAM)
        self._simulation = None
        if lockstep and clock_rate is not None and HAND in groups:  # else no replay is exact
            self._simulation = node.create_publisher(
                Float64MultiArray, topics.SIMULATION_STATE, qos.STREAM
            )
        self._passive = list(passive) if FIXTURE in groups else []
        self.display = DisplayPublishers(node, clock_rate)
        self.forget()

    def forget(self) -> None:
        """Reset the stamp filter; publish the next reading unconditionally."""
        self._stamps = dict.fromkeys(self._states, float("-inf"))

    def publish(self, reading: Reading, backend: ClampedBackend) -> None:
        """Publish the reading of each group whose stamp is new, and the sent command."""
        fresh = False
        for group, state in ((FIXTURE, reading.fixture), (HAND, reading.hand)):
            stamp = float(state.stamp[0])
            if group in self._states and stamp > self._stamps[group]:
                self._stamps[group] = stamp
                self._states[group].publish(self._codecs[group].pack(state))
                fresh = True
        stamp = float(reading.hand.stamp[0])
        self.display.offer_time(stamp)
        if fresh:
            passive = backend.passive_joints() if self._passive else NO_JOINTS
            self.display.offer_joints(partial(self._joints_msg, reading, passive))
        if self._sent is not None and self._sent.get_subscription_count():
            self._sent.publish(self._sent_codec.pack(backend.sent[0], stamp))
        if self._simulation is not None and self._simulation.get_subscription_count():
            simulation = backend.state
            if simulation is not None:
                self._simulation.publish(Float64MultiArray(data=[stamp, *simulation[0].tolist()]))

    def _joints_msg(self, reading: Reading, passive: Array) -> JointState:
        parts = [(self._names[group], getattr(reading, group)) for group in self._states]
        stamp = max(float(state.stamp[0]) for _, state in parts)
        lobes = dict(zip(self._passive, passive[0].tolist(), strict=False))
        return convert.joints_msg(stamp, parts, lobes)

    def publish_status(
        self, reading: Reading, backend: ClampedBackend, health: StationStatus | None, refused: int
    ) -> None:
        """Publish the state of the motors; health None: they are simulated."""
        for group, publisher in self._status.items():
            state = getattr(reading, group)
            known = None if health is None else getattr(health, group)
            message = self._status_msg(self._names[group], known)
            message.header.stamp = convert.to_stamp(state.stamp[0])
            message.commands_clamped = backend.clamped
            message.commands_dropped = backend.dropped + refused
            publisher.publish(message)

    def _status_msg(self, names: list[str], health: GroupStatus | None) -> HandStatus:
        simulated = health is None
        health = health or GroupStatus.unknown(len(names))
        return HandStatus(
            name=names,
            temperature=health.temperature.tolist(),
            voltage=health.voltage.tolist(),
            hardware_error=list(health.hardware_error),
            torque=simulated or bool(np.any(health.torque)),
            pause_requested=health.pause,
        )
