"""Reset mechanism: an action server that brings object and hand to the start of an episode.

The reset always commands the driver directly, because it lets single joints go and a controller of
ros2_control cannot. Meanwhile the driver ignores the controllers, which repeat their last target
(`handlab_core.safety.command_watchdog`). So the reset sends the nominal pose, the hand's final
pose, to the controllers before it hands over. A reset that gave up turns the hand's torque off.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from sensor_msgs.msg import JointState as JointStateMsg
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from handlab_core.environment.stamp_sync import MEMORY, StampSync
from handlab_core.errors import ResetFailed, StationFault, StationTimeout
from handlab_core.options import PaceOptions
from handlab_core.reset.procedure import DONE, ResetProcedure, ResetTick
from handlab_core.system.validation import checked
from handlab_core.tasks import Task
from handlab_core.types import JointState, ObjectEstimate, Reading
from handlab_interfaces.action import Reset
from handlab_interfaces.msg import ObjectState
from handlab_interfaces.srv import Teleport
from handlab_nodes.clients.command_outputs import JOINT_STATE, Output, OutputOptions, make_output
from handlab_nodes.driver.driver_monitor import DriverMonitor
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.runtime import goal_checks
from handlab_nodes.runtime.actions import GoalServer, announce
from handlab_nodes.runtime.diagnostics import OK, WARN, Diagnostics
from handlab_nodes.runtime.event_loop import EventLoop, run
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.parameters import TaskParams, read_params
from handlab_nodes.runtime.polled_subscriptions import PolledSubscriptions

LEAVE_TIMEOUT = 2.0
"""Seconds; a driver answers between two steps."""

TELEPORT_TIMEOUT = 10.0
"""Seconds; longest wait for the services of a driver that is being started."""

TORQUE_SETTLE = 0.5
"""Seconds; time in which the driver's word that the torque is on again may arrive; chosen."""


@checked
class ResetParams(TaskParams, OutputOptions, PaceOptions):
    """Parameters of the node."""


class ResetNode(Node):
    """Ticks one reset procedure per goal, one control period at a time."""

    def __init__(self) -> None:
        super().__init__("reset")
        params = read_params(self, ResetParams())
        self._task = task = params.make_task()
        self._hand, self._period = task.hand, task.period
        self._resets = self._failures = 0
        self._hand_commands = cdr_codec.Commands(task.hand.joints)
        self._fixture_commands = cdr_codec.Commands([task.fixture.joint])
        command = qos.COMMAND
        self._hand_out = self.create_publisher(JointStateMsg, topics.HAND_COMMANDS, command)
        self._fixture_out = self.create_publisher(JointStateMsg, topics.FIXTURE_COMMANDS, command)
        self._torque = {
            topic: self.create_client(SetBool, topic)
            for topic in (topics.FIXTURE_TORQUE, topics.HAND_TORQUE)
        }
        self._controllers: Output | None = None
        if params.command_output != JOINT_STATE:  # else no controller commands the hand
            self._controllers = make_output(params.command_output, self, task.hand)
        self._torque_is_on = True  # until the driver reports otherwise
        on = convert.decoder(Bool, lambda message: message.data)
        changes, hear = qos.LATCHED_CHANGES, Inbox.of(self).subscribe
        hear(Bool, topics.HAND_TORQUE_ON, on, self._on_torque, changes)
        self._teleport = self.create_client(Teleport, topics.TELEPORT)
        self._goal_server = GoalServer(
            self,
            Reset,
            topics.RESET,
            lambda: self._goal_server.goal is None,
            goal_checks.reset(task.fixture),
            within=(topics.ROLLOUT, topics.RECORD_DEMONSTRATION, topics.REPLAY_DEMONSTRATION),
            watch=DriverMonitor(self),
        )
        announce(self, topics.RESET)
        self._readings = Readings(self, task)
        self._diagnostics = Diagnostics(self)

    def work(self, loop: EventLoop) -> None:
        """Carry out the goal, if there is one."""
        if self._goal_server.goal is None:
            self._readings.skim()
            return
        result = Reset.Result(attempts=1)

        def job(handle: ServerGoalHandle) -> None:
            with self._readings.listening(loop):
                self._reset(handle, result, loop)

        success = self._goal_server.carry_out(loop, result, job)
        self._resets += 1
        self._failures += not success

    def _reset(self, handle: ServerGoalHandle, result: Reset.Result, loop: EventLoop) -> None:
        """Carry out a reset; ResetFailed if it gave up."""
        if handle.request.teleport:
            self._send_controllers_home()
            self._place(handle.request.object_angle, result, loop)
            return
        procedure = self._task.make_reset(handle.request.object_angle)
        self._set_torque(topics.FIXTURE_TORQUE, True, loop)
        try:
            tick = self._drive(handle, procedure, result, loop)
        except BaseException:
            self._leave(False, loop)
            raise
        self._leave(tick.stage == DONE, loop)
        if tick.stage != DONE:
            result.failed_joints = failed = list(procedure.failed_joints)
            names = ", ".join(failed)
            raise ResetFailed(f"gave up after {tick.attempt} attempts; not home: {names}", failed)

    def _drive(
        self,
        handle: ServerGoalHandle,
        procedure: ResetProcedure,
        result: Reset.Result,
        loop: EventLoop,
    ) -> ResetTick:
        """Tick a procedure to its end, whether it succeeds or not."""
        reading = self._readings.next(loop, convert.from_stamp(handle.request.since))
        began = reading.hand.stamp[0]
        stage = None
        self._hand_over(True, loop)
        while True:
            self._check_torque(loop)
            tick = procedure.tick(reading, self._period)
            result.attempts = tick.attempt
            result.duration = float(reading.hand.stamp[0] - began)
            result.stamp = convert.to_stamp(reading.hand.stamp[0])
            if tick.stage != stage:
                stage = tick.stage
                self._publish_stage(handle, tick, procedure.elapsed)
            if tick.ended:
                return tick
            self._send(tick, float(reading.hand.stamp[0]))
            self._send_controllers_home()  # who are not heard now
            # Stamps of a machine's clock never are exactly a period apart.
            due = float(reading.hand.stamp[0]) + 0.999 * self._period
            reading = self._readings.next(loop, due)

    def _on_torque(self, on: bool) -> None:
        self._torque_is_on = on

    def _check_torque(self, loop: EventLoop) -> None:
        """Raise StationFault if a person has turned the hand's torque off: no joint would move.

        Beside controllers the reset turns it on by itself.
        """
        if self._torque_is_on or self._controllers is not None:
            return
        with suppress(StationTimeout):
            loop.wait(lambda: self._torque_is_on, topics.HAND_TORQUE_ON, TORQUE_SETTLE)
        if not self._torque_is_on:
            raise StationFault("the hand's torque is off: turn it on, then reset again")

    def _leave(self, success: bool, loop: EventLoop) -> None:
        """Let the fixture go and hand the hand over, whatever ended the reset.

        A driver that is not active has let go of both, and one that is gone does not answer.
        """
        with loop.undisturbed():
            for topic, engaged in self._left_with(success).items():
                client = self._torque[topic]
                if client.service_is_ready():
                    with suppress(StationTimeout):
                        loop.ask(client, SetBool.Request(data=engaged), topic, LEAVE_TIMEOUT)

    def _left_with(self, success: bool) -> dict[str, bool]:
        """Return the torque that a reset leaves, by service."""
        hand = {} if self._controllers is None else {topics.HAND_TORQUE: success}
        return hand | {topics.FIXTURE_TORQUE: False}

    def _place(self, angle: float, result: Reset.Result, loop: EventLoop) -> None:
        named = f"the service {topics.TELEPORT}, which only a simulation has"
        loop.wait(self._teleport.service_is_ready, named, TELEPORT_TIMEOUT)
        answer = loop.ask(self._teleport, Teleport.Request(object_angle=angle), topics.TELEPORT)
        if not answer.success:
            raise StationFault(answer.message)
        result.stamp = answer.stamp

    def _hand_over(self, engaged: bool, loop: EventLoop) -> None:
        """Turn the hand's torque on for the next commander, or off."""
        if self._controllers is not None:
            self._set_torque(topics.HAND_TORQUE, engaged, loop)

    def _set_torque(self, topic: str, engaged: bool, loop: EventLoop) -> None:
        answer = loop.ask(self._torque[topic], SetBool.Request(data=engaged), topic)
        if not answer.success:
            raise StationFault(answer.message)

    def _send_controllers_home(self) -> None:
        if self._controllers is not None:
            self._controllers.send(self._hand.nominal[None, :], stamp=0.0)

    def _send(self, tick: ResetTick, stamp: float) -> None:
        self._fixture_out.publish(self._fixture_commands.pack(tick.fixture, stamp))
        self._hand_out.publish(self._hand_commands.pack(tick.hand, stamp))

    def _publish_stage(self, handle: ServerGoalHandle, tick: ResetTick, elapsed: float) -> None:
        feedback = Reset.Feedback(stage=str(tick.stage), attempt=tick.attempt, elapsed=elapsed)
        feedback.object_error, feedback.hand_error = tick.object_error, tick.hand_error
        handle.publish_feedback(feedback)

    def report(self) -> None:
        """Report the numbers of resets and failures."""
        level = WARN if self._failures else OK
        values = {"resets": self._resets, "failures": self._failures}
        self._diagnostics.publish(level, "ready to reset", values)


class FollowedReadings:
    """Pairs of hand and fixture of one time, each from when the object's state of it is there.

    On a busy machine the estimates may lag behind by several readings all the time: the newest
    reading that has one counts, and not the newest of all.
    """

    def __init__(self) -> None:
        self._sync: StampSync[JointState, JointState] = StampSync()
        self._pending: deque[Reading] = deque(maxlen=MEMORY)
        self._newest: Reading | None = None
        self._old = False  # whether the newest reading is from before `begin`
        self.estimated = -1.0
        """Stamp of the object's newest state; s."""
        self.add_hand, self.add_fixture = self._sync.add_a, self._sync.add_b

    def begin(self) -> None:
        """Use the newest reading so far only if there is no later one, as in lockstep."""
        self._old = True

    def newest(self) -> Reading | None:
        """Return the newest reading whose estimate is there; None without any."""
        for pair in self._sync.pairs():
            reading = Reading(*pair)
            if self._pending and reading.fixture.stamp[0] < self._pending[-1].fixture.stamp[0]:
                self._pending.clear()  # a restarted simulation: those are never estimated
            self._pending.append(reading)
        while self._pending and self._pending[0].fixture.stamp[0] <= self.estimated:
            self._newest, self._old = self._pending.popleft(), False
        return None if self._old and self._pending else self._newest


class Readings:
    """Receives hand and fixture, and wakes for them only while a reset runs.

    The subscriptions stay, because discovery of new ones takes longer than many steps. The node
    wakes for the object's estimate, although it is not read. The estimate comes last, and a filter
    that lags behind would miss readings and estimate differently.
    """

    def __init__(self, owner: Node, task: Task) -> None:
        self._quiet, self._waking = PolledSubscriptions(owner), PolledSubscriptions(owner, "waking")
        hands = cdr_codec.JointStates(task.hand.joints)
        fixtures = cdr_codec.JointStates([task.fixture.joint])
        self._followed = followed = FollowedReadings()
        newest, hear = qos.EVERY, self._quiet.listen
        hear(JointStateMsg, topics.HAND_STATES, hands.unpack, followed.add_hand, newest)
        hear(JointStateMsg, topics.FIXTURE_STATES, fixtures.unpack, followed.add_fixture, newest)
        read = cdr_codec.ObjectStates().unpack
        self._waking.listen(ObjectState, topics.OBJECT_STATE, read, self._on_object, newest)

    def skim(self) -> None:
        """Take all messages, so that no queue overflows; only the newest is read."""
        self._quiet.skim()
        self._waking.skim()

    @contextmanager
    def listening(self, loop: EventLoop) -> Iterator[None]:
        """Wake the node for messages within the context; earlier messages are read at once."""
        self._followed.begin()
        loop.executor.add_node(self._waking.node)
        loop.once(0.0)  # from its next turn on the executor knows the node
        try:
            yield
        finally:
            loop.executor.remove_node(self._waking.node)

    def next(self, loop: EventLoop, since: float) -> Reading:
        """Wait for a reading of both groups that is not older than a stamp [s]."""

        def followed() -> bool:
            self._waking.take()
            return self._followed.estimated >= since

        def there() -> bool:
            reading = self._followed.newest()
            return reading is not None and bool(reading.hand.stamp[0] >= since)

        loop.wait(followed, f"the object's state on {topics.OBJECT_STATE}")
        # As a rule the others came before it; where they did not, the node wakes for them too.
        named = f"{topics.HAND_STATES}, {topics.FIXTURE_STATES} and {topics.OBJECT_STATE}"
        self._quiet.wait(loop, there, f"the same stamp on {named}")
        reading = self._followed.newest()
        assert reading is not None
        return reading

    def _on_object(self, estimate: ObjectEstimate) -> None:
        self._followed.estimated = float(estimate.stamp[0])


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(ResetNode, args=args)


if __name__ == "__main__":
    main()
