"""Driver: one lifecycle node in front of any backend.

Lockstep (simulation, for learning): the world advances by one control period exactly when every
engaged group has a command stamped with the world's present time, then publishes the new state.
Real pace: the newest command holds for a period of the driver's own rate, on a schedule that keeps
its phase; commands that grow old are followed by `handlab_core.watchdog`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from handlab_core import watchdog
from handlab_core.backend import make_backend
from handlab_core.errors import BadConfig, HandlabError
from handlab_core.guard import GuardedBackend
from handlab_core.lockstep import FIXTURE, HAND, PACES, Lockstep
from handlab_core.tasks import make_task
from handlab_core.types import Reading
from handlab_interfaces.msg import HandStatus
from handlab_interfaces.srv import Teleport
from handlab_nodes import codec, convert, qos, topics
from handlab_nodes.diagnostics import OK, WARN, Diagnostics
from handlab_nodes.params import read_params
from handlab_nodes.spinner import POLL, run


@dataclass(frozen=True)
class DriverParams:
    """Parameters of the node."""

    task: str = "valve"
    hardware: str = "mujoco"
    pace: str = "lockstep"
    rate: float = 100.0  # Hz, of the readings in real pace
    autostart: bool = True  # configure and activate at once
    command_sources: tuple[str, ...] = ("runner", "reset")  # nodes that may send commands


class DriverNode(LifecycleNode):
    """Serves the groups `hand` and `fixture` of one station."""

    def __init__(self) -> None:
        super().__init__("driver")
        self.params = read_params(self, DriverParams())
        if self.params.pace not in PACES:
            raise BadConfig(f"pace is {self.params.pace!r}; it can be {' or '.join(PACES)}")
        self._task = make_task(self.params.task)
        self._names = {HAND: list(self._task.hand.joints), FIXTURE: [self._task.fixture.joint]}
        self._codecs = {group: codec.JointStates(names) for group, names in self._names.items()}
        self._commands = {group: codec.Commands(names) for group, names in self._names.items()}
        self._backend: GuardedBackend | None = None
        self._active = False
        self._malformed = 0
        self._diagnostics = Diagnostics(self)
        self._make_interfaces()
        if self.params.autostart:
            self.trigger_configure()
            self.trigger_activate()

    # Lifecycle: what each transition does to the hardware.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the hardware."""
        try:
            task = self._task
            backend = make_backend(
                self.params.hardware, hand=task.hand_name, fixture=task.fixture_name
            )
        except HandlabError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        self._backend = GuardedBackend(task.hand, task.fixture, backend)
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Engage the hand and begin to publish."""
        assert self._backend is not None
        self._lockstep, self._active = Lockstep(), True
        self._watchdog = watchdog.Watchdog(self._task.hand, self._task.fixture)
        self._next = time.monotonic()
        self._publish(self._backend.read())
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything."""
        self._active = False
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the hardware."""
        return self._close()

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the hardware."""
        return self._close()

    def _close(self) -> TransitionCallbackReturn:
        self._active = False
        if self._backend is not None:
            self._backend.close()
            self._backend = None
        return TransitionCallbackReturn.SUCCESS

    # Wire: commands in, states out.

    def _make_interfaces(self) -> None:
        stream, command = qos.STREAM, qos.COMMAND
        self._states = {
            FIXTURE: self.create_publisher(JointState, topics.FIXTURE_STATES, stream),
            HAND: self.create_publisher(JointState, topics.HAND_STATES, stream),
        }
        self._sent = self.create_publisher(JointState, topics.HAND_SENT, stream)
        self._clock_out = self.create_publisher(Clock, "/clock", 1)
        self._status = self.create_publisher(HandStatus, topics.HAND_STATUS, 10)
        for group, topic in ((HAND, topics.HAND_COMMANDS), (FIXTURE, topics.FIXTURE_COMMANDS)):
            self.create_subscription(JointState, topic, self._receiver(group), command, raw=True)
        for group, topic in ((HAND, topics.HAND_TORQUE), (FIXTURE, topics.FIXTURE_TORQUE)):
            self.create_service(SetBool, topic, self._torque_setter(group))
        self.create_service(Teleport, topics.TELEPORT, self._on_teleport)

    def _receiver(self, group: str) -> Callable[[bytes], None]:
        commands, lockstep = self._commands[group], self.params.pace == "lockstep"

        def on_command(data: bytes) -> None:
            if not self._active:
                return
            try:
                command, stamp = commands.unpack(data)
            except ValueError as error:
                self._malformed += 1
                self.get_logger().warning(f"refused a command for the {group}: {error}")
                return
            if not lockstep:
                self._watchdog.feed(group, command, time.monotonic())
                return
            if self._lockstep.offer(group, command, stamp, self._now):
                hand, fixture = self._lockstep.take()
                self._publish(self._backend.step(hand, fixture, self._task.period))

        return on_command

    def _torque_setter(self, group: str) -> Callable[[Any, Any], Any]:
        def on_torque(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
            response.success = self._active
            response.message = "" if self._active else "the driver is not active"
            if self._active:
                self._lockstep.engage(group, request.data)
                self._watchdog.engage(group, request.data)
            return response

        return on_torque

    def _on_teleport(
        self, request: Teleport.Request, response: Teleport.Response
    ) -> Teleport.Response:
        try:
            reading = self._backend.reset(None, request.object_angle)
        except (HandlabError, AttributeError) as error:
            response.message = str(error)
            return response
        self._publish(reading)
        response.success, response.stamp = True, convert.to_stamp(reading.hand.stamp[0])
        return response

    def _publish(self, reading: Reading) -> None:
        # The fixture first: the estimator and the reward computer have the longer way from here.
        self._states[FIXTURE].publish(self._codecs[FIXTURE].pack(reading.fixture))
        self._states[HAND].publish(self._codecs[HAND].pack(reading.hand))
        stamp = self._now = float(reading.hand.stamp[0])
        if self._clock_out.get_subscription_count():
            self._clock_out.publish(Clock(clock=convert.to_stamp(stamp)))
        if self._sent.get_subscription_count():
            self._sent.publish(self._commands[HAND].pack(self._backend.sent[0], stamp))

    # Real pace, called by the event loop.

    def patience(self) -> float:
        """How long the event loop may wait before the next step is due [s]."""
        if not self._active or self.params.pace == "lockstep":
            return POLL
        return max(0.0, self._next - time.monotonic())

    def work(self, spinner: object) -> None:
        """Step when it is time; a late step does not move the ones after it."""
        if not self._active or self.params.pace == "lockstep":
            return
        now = time.monotonic()
        if now < self._next:
            return
        period = 1.0 / self.params.rate
        hand, fixture = self._watchdog.commands(self._backend.read(), now)
        self._publish(self._backend.step(hand, fixture, period))
        self._next += period
        if now - self._next > 1.0:  # the machine was suspended: do not race to catch up
            self._next = now + period

    def report(self) -> None:
        """Tell the health of the hand, and who else sends commands."""
        if self._backend is None or not self._active:
            self._diagnostics.publish(WARN, "not active", {})
            return
        infos = self.get_publishers_info_by_topic(self.resolve_topic_name(topics.HAND_COMMANDS))
        strangers = sorted({i.node_name for i in infos} - set(self.params.command_sources))
        counts = {
            "commands_clamped": self._backend.clamped,
            "targets_dropped": self._backend.dropped,
            "commands_malformed": self._malformed,
            "commands_stale": self._lockstep.stale,
            "strange_command_sources": ", ".join(strangers),
        }
        if strangers:
            message = f"commands also come from {', '.join(strangers)}"
            self.get_logger().warning(message, throttle_duration_sec=10.0)
            self._diagnostics.publish(WARN, message, counts)
        else:
            self._diagnostics.publish(OK, "driving", counts)
        names = self._names[HAND]
        status = HandStatus(name=names, torque=True, hardware_error=[0] * len(names))
        status.header.stamp = convert.to_stamp(self._backend.read().hand.stamp[0])
        status.temperature = status.voltage = [float("nan")] * len(names)  # not simulated
        status.commands_clamped = self._backend.clamped
        status.commands_dropped = self._backend.dropped + self._malformed
        self._status.publish(status)


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(DriverNode, args)


if __name__ == "__main__":
    main()
