"""Driver: one lifecycle node in front of any backend; `handlab_nodes.driver.step_loop` paces it.

| transition | the hardware                                                     |
|------------|------------------------------------------------------------------|
| configure  | is opened and checked; nothing moves                             |
| activate   | is engaged where it is, and let go if no command comes           |
| deactivate | is let go                                                        |
| cleanup    | is let go and closed; so it is on shutdown and after an error    |

While another process of the graph stands still, the driver is inactive as after an emergency stop.
"""

import math
import time
from collections.abc import Callable
from typing import Annotated, Any

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import ChangeState
from pydantic import Field
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool

from handlab_core.errors import BadConfig, HandlabError, StationFault, StationTimeout, UnknownName
from handlab_core.hardware.backend import Hardware, make_backend
from handlab_core.hardware.backend_table import backend_spec
from handlab_core.hardware.lockstep import FIXTURE, GUIDE, HAND
from handlab_core.options import DriverOptions
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.system.scheduling import use_realtime_priority
from handlab_core.system.standstill import StandstillReader
from handlab_core.system.validation import Flag, NotNegative, OneOf, Positive, Text, checked
from handlab_core.types import Command, Reading
from handlab_interfaces.srv import Calibrate, Jog, JointTorque, Reboot, Teleport
from handlab_nodes.driver.driver_diagnostics import DriverDiagnostics
from handlab_nodes.driver.publishers import CLOCK_RATE, DriverPublishers
from handlab_nodes.driver.step_loop import LockstepPace, Pace, RealPace
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.runtime import goal_checks
from handlab_nodes.runtime.event_loop import run
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.parameters import TaskParams, read_params

COMMANDS = {HAND: topics.HAND_COMMANDS, FIXTURE: topics.FIXTURE_COMMANDS}
TORQUE = {HAND: topics.HAND_TORQUE, FIXTURE: topics.FIXTURE_TORQUE}

SUCCESS = TransitionCallbackReturn.SUCCESS

EARLY_RETRY_PERIOD = 0.2
"""Seconds; period of attempts to open missing hardware during `start_patience`."""

RETRY_PERIOD = 2.0
"""Seconds; period of attempts to open missing hardware with `autostart`."""


@checked
class DriverParams(TaskParams, DriverOptions):
    """Parameters of the node."""

    groups: Annotated[
        tuple[Annotated[Text, OneOf("group", (HAND, FIXTURE))], ...],
        Field(min_length=1, description="groups of joints that this driver serves"),
    ] = (HAND, FIXTURE)
    robot_description: Annotated[
        str, Field(description="URDF to publish; empty: another node publishes it")
    ] = ""
    clock_rate: Annotated[
        Positive, Field(description="Hz of wall time; upper limit of messages on clock")
    ] = CLOCK_RATE
    start_patience: Annotated[
        NotNegative, Field(description="s; time for hardware to appear before that is an error")
    ] = 0.0
    autostart: Annotated[
        Flag, Field(description="configure and activate at once, and again until it works")
    ] = True
    command_sources: Annotated[
        tuple[Text, ...],
        Field(min_length=1, description="nodes that may send commands; all others are refused"),
    ] = (*topics.COMMANDERS, "reset")


class DriverNode(LifecycleNode):
    """Serves the groups `hand` and `fixture` of one station, or one of them."""

    def __init__(self) -> None:
        super().__init__("driver")
        self.params = params = read_params(self, DriverParams())
        self._spec = backend_spec(params.hardware)
        if not self._spec.simulated:
            use_realtime_priority()  # inherited by the threads that this process starts
        self._task = params.make_task()
        names = {HAND: list(self._task.hand.joints), FIXTURE: [self._task.fixture.joint]}
        self._backend: ClampedBackend | None = None
        self._hardware: Hardware | None = None
        self._pace: Pace | None = None
        self._next_try, self._why_closed = 0.0, ""
        self._stopped_at: float | None = None  # s; last stamp of a simulation that was closed
        self._autostart = params.autostart
        self._patient_until = time.monotonic() + params.start_patience
        self._unusable: HandlabError | None = None
        for service in self.services:
            if service.srv_type is ChangeState:
                self._change_state, service.callback = service.callback, self._on_change_state
        self._report = DriverDiagnostics(self, params.command_sources)
        if params.robot_description:
            descriptions = self.create_publisher(String, topics.DESCRIPTION, qos.LATCHED)
            descriptions.publish(String(data=params.robot_description))
        clock_rate = params.clock_rate if self._spec.simulated else None
        passive, lockstep = self._task.fixture.passive, params.pace == "lockstep"
        self._driver_publishers = DriverPublishers(
            self, names, params.groups, clock_rate, lockstep, passive
        )
        for group in params.groups:
            self._receive(group, COMMANDS[group], cdr_codec.Commands(names[group]))
            self.create_service(SetBool, TORQUE[group], self._torque_setter(group))
        self._serve(JointTorque, topics.JOINT_TORQUE, self._on_joint_torque)
        self._serve(Reboot, topics.REBOOT, self._on_reboot)
        self._serve(Calibrate, topics.CALIBRATE, self._on_calibrate)
        self._torque_on = None
        if HAND in params.groups:
            self.create_service(Jog, topics.JOG, self._on_jog)
            changes = qos.LATCHED_CHANGES
            self._torque_on = self.create_publisher(Bool, topics.HAND_TORQUE_ON, changes)
        self._standstill, self._standing = StandstillReader(), False
        self._stopped = self.create_publisher(Bool, topics.STOPPED, qos.LATCHED_CHANGES)
        self._flag(stopped=False)
        self.create_service(SetBool, topics.EMERGENCY_STOP, self._on_emergency_stop)
        if self._spec.simulated:
            self.create_service(Teleport, topics.TELEPORT, self._on_teleport)
            self._receive(GUIDE, topics.GUIDE, cdr_codec.Commands(names[HAND]))
            self.create_service(SetBool, topics.GUIDED, self._torque_setter(GUIDE))

    # Lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the hardware."""
        task, params = self._task, self.params
        options: dict[str, Any] = {}
        if self._spec.station_file:
            options |= {"station": params.station, "port": params.port}
        if self._spec.simulated:
            options["after"] = self._stopped_at
        try:
            backend = make_backend(
                params.hardware, hand=task.hand_name, fixture=task.fixture_name, **options
            )
        except HandlabError as error:
            self._complain(error)
            if isinstance(error, BadConfig | UnknownName):  # waiting does not mend it
                self._unusable = error
            return TransitionCallbackReturn.FAILURE
        self._hardware = backend if isinstance(backend, Hardware) else None
        self._backend = ClampedBackend(task.hand, task.fixture, backend)
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Engage the hand and begin to publish."""
        assert self._backend is not None
        self._autostart = self.params.autostart
        if self._hardware is not None:
            try:
                self._hardware.activate()
            except HandlabError as error:
                self._complain(error)
                return TransitionCallbackReturn.FAILURE
        self._why_closed = ""
        task = self._task
        pace: Pace
        if self.params.pace == "lockstep":
            pace = LockstepPace(self._backend, task.period, self._publish)
        else:
            pace = RealPace(
                task.hand, task.fixture, self._backend, self.params.rate, self._publish,
                self.params.resting_rate, self._hardware is None,
            )  # fmt: skip
        self._pace = pace
        self._driver_publishers.forget()
        pace.start()
        self._publish_torque(HAND, True)
        self._flag(stopped=False)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything and turn `autostart` off: the deactivation is intended."""
        self._autostart = False
        self._rest()
        self._flag(self._is_stopped)  # for listeners: which kind of deactivation this is
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the hardware."""
        return self._close()

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the hardware for good: no transition leads out of `finalized`."""
        self._autostart = False
        self._why_closed = "shut down: start the driver again to use it"
        return self._close()

    def _on_change_state(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        """Carry out a transition that is available now.

        Another one, or an id that is none, ends the process within rcl_lifecycle.
        """
        available = {
            number: label for number, label, *_ in self._state_machine.available_transitions
        }
        wanted = request.transition
        if wanted.label in available.values() or (not wanted.label and wanted.id in available):
            return self._change_state(request, response)
        state = self._state_machine.current_state[1]
        self.get_logger().warning(
            f"refused the transition {wanted.label or wanted.id}: a driver that is {state} knows "
            f"{', '.join(sorted(available.values())) or 'none'}"
        )
        response.success = False
        return response

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the hardware: after any error the hand is limp and the node unconfigured."""
        return self._close()

    def release(self) -> None:
        """Join the stepping thread and let the hand go, before anything is destroyed."""
        self._close()

    def _complain(self, error: HandlabError) -> None:
        """Log the reason of unusable hardware once, after `start_patience`."""
        if time.monotonic() < self._patient_until and isinstance(
            error, StationFault | StationTimeout
        ):
            return
        if str(error) != self._why_closed:
            self.get_logger().error(str(error))
        self._why_closed = str(error)

    def _rest(self) -> None:
        if self._pace is not None:
            self._pace.stop()
            self._pace = None
        if self._hardware is not None:
            self._hardware.deactivate()

    def _close(self) -> TransitionCallbackReturn:
        self._rest()
        if self._backend is not None:
            if self._hardware is None:
                self._stopped_at = float(self._backend.read().hand.stamp[0])
            self._backend.close()
            self._backend = self._hardware = None
        return TransitionCallbackReturn.SUCCESS

    # Commands and readings.

    def _receive(self, group: str, topic: str, commands: cdr_codec.Commands) -> None:
        """Receive commands for a group from the nodes that may send them."""
        sources = self.params.command_sources

        def on_command(command: tuple[Command, float]) -> None:
            if self._pace is not None:
                self._pace.command(group, *command)

        Inbox.of(self).subscribe(
            JointState,
            topic,
            commands.unpack,
            on_command,
            qos.COMMAND,
            senders=topics.SENDERS[topic] if group == GUIDE else sources,
            exclusive=not self._spec.simulated,
        )

    @property
    def _malformed(self) -> int:
        """Number of refused commands of known senders so far."""
        drops = Inbox.of(self).drops.values()
        return sum(dropped.count - dropped.foreign for dropped in drops)

    def _publish(self, reading: Reading) -> None:
        assert self._backend is not None
        self._driver_publishers.publish(reading, self._backend)
        if self._hardware is not None and self._report.has_news(self._hardware.motor_status):
            self.report()

    # Services.

    def _serve(self, kind: Any, topic: str, call: Callable[[Any], str]) -> None:
        """Offer a service whose answer is success and a message, or the reason of a failure."""

        def answer(request: Any, response: Any) -> Any:
            try:
                if self._backend is None:
                    raise StationFault("the driver is not configured")
                response.message, response.success = self._ask(lambda: call(request)), True
            except HandlabError as error:
                response.message, response.success = str(error), False
            return response

        self.create_service(kind, topic, answer)

    def _ask(self, call: Callable[[], str]) -> str:
        return call() if self._pace is None else self._pace.ask(call)

    def _torque_setter(self, group: str) -> Callable[[Any, Any], Any]:
        def on_torque(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
            response.success = self._pace is not None
            response.message = "" if response.success else "the driver is not active"
            if self._pace is not None:
                self._pace.engage(group, request.data)
                self._publish_torque(group, request.data)
            return response

        return on_torque

    def _publish_torque(self, group: str, on: bool) -> None:
        if group == HAND and self._torque_on is not None:
            self._torque_on.publish(Bool(data=on))

    def _on_emergency_stop(
        self, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        """Deactivate the driver until it is engaged again; a goal that moves the hand waits.

        An ordinary deactivation ends the goals.
        """
        self._standing = False  # from now on a person's stop, or none
        response.success = self._stop() if request.data else self._engage_again()
        response.message = "" if response.success else self._why_closed
        return response

    def _flag(self, stopped: bool) -> None:
        """Publish whether the driver is stopped: then goals that need it wait."""
        self._is_stopped = stopped
        self._stopped.publish(Bool(data=stopped))

    def _stop(self) -> bool:
        """Deactivate the driver in such a way that goals wait; return whether it is inactive."""
        self._flag(stopped=True)  # before the transition, which ends goals
        self._autostart = False
        active = self._state_machine.current_state[0] == State.PRIMARY_STATE_ACTIVE
        return not active or bool(self.trigger_deactivate() == SUCCESS)

    def _engage_again(self) -> bool:
        """Activate a driver that was stopped; return whether it is active, or will be."""
        state = self._state_machine.current_state[0]
        if state == State.PRIMARY_STATE_INACTIVE:
            return bool(self.trigger_activate() == SUCCESS)
        if state == State.PRIMARY_STATE_UNCONFIGURED:
            self._autostart = self.params.autostart
            self._flag(stopped=False)
            return True
        return bool(state == State.PRIMARY_STATE_ACTIVE)

    def _follow_standstill(self) -> None:
        """Stop while a process of the graph stands still; engage again when it has gone on."""
        standing = self._standstill.look()
        if standing and not self._standing:
            if self._state_machine.current_state[0] == State.PRIMARY_STATE_ACTIVE:
                self._standing = True
                who = ", ".join(standing)
                self.get_logger().warning(
                    f"{who} stands still: the hand is let go until it goes on"
                )
                self._stop()
                self._why_closed = f"let go while {who} stands still"
        elif self._standing and not standing:
            self._standing = False
            self.get_logger().warning("all processes go on: the hand is engaged where it is")
            self._engage_again()

    def _on_joint_torque(self, request: JointTorque.Request) -> str:
        assert self._backend is not None
        known = (*self._task.hand.joints, self._task.fixture.joint)
        for joint in request.joints:  # all of them before the first is changed
            if joint not in known:
                raise UnknownName("joint", joint, known)
        for joint in request.joints or known:
            self._backend.loosen(joint, not request.torque)
        return ""

    def _on_jog(self, request: Jog.Request, response: Jog.Response) -> Jog.Response:
        try:
            if self._pace is None:
                raise StationFault("the driver is not active: engage the hand first")
            if not isinstance(self._pace, RealPace):
                raise StationFault("a simulation in lockstep moves by its commands alone")
            if not math.isfinite(request.position):
                raise StationFault(f"the position {request.position} rad is not finite")
            response.target = self._pace.jog(request.joint, request.position, request.alone)
            response.success = True
        except HandlabError as error:
            response.message = str(error)
        return response

    def _on_reboot(self, request: Reboot.Request) -> str:
        self._need_hardware("reboot").reboot(request.joint)
        return ""

    def _on_calibrate(self, request: Calibrate.Request) -> str:
        return self._need_hardware("calibrate").calibrate(request.overwrite, request.force)

    def _need_hardware(self, what: str) -> Hardware:
        if self._hardware is None:
            raise StationFault(f"hardware {self.params.hardware} has no motors to {what}")
        return self._hardware

    def _on_teleport(
        self, request: Teleport.Request, response: Teleport.Response
    ) -> Teleport.Response:
        def place() -> Reading:
            goal_checks.object_angle(request.object_angle, self._task.fixture)
            if self._backend is None:
                raise StationFault("the driver is not configured")
            return self._backend.reset(None, request.object_angle)

        try:
            reading = place() if self._pace is None else self._pace.ask(place)
        except HandlabError as error:
            response.message = str(error)
            return response
        self._publish(reading)
        response.success, response.stamp = True, convert.to_stamp(reading.hand.stamp[0])
        return response

    # Called by the event loop.

    def work(self, loop: object) -> None:
        """Start the hardware if due; raise the exception that ended the stepping."""
        self._driver_publishers.display.flush()
        self._follow_standstill()
        if self._pace is not None:
            self._pace.check()
        elif self._autostart and time.monotonic() >= self._next_try:
            early = time.monotonic() < self._patient_until
            self._next_try = time.monotonic() + (EARLY_RETRY_PERIOD if early else RETRY_PERIOD)
            state = self._state_machine.current_state[0]
            if state == State.PRIMARY_STATE_UNCONFIGURED and self.trigger_configure() == SUCCESS:
                state = State.PRIMARY_STATE_INACTIVE
            if state == State.PRIMARY_STATE_INACTIVE:
                self.trigger_activate()
            if self._unusable is not None:
                raise self._unusable

    def report(self) -> None:
        """Report the state of the station."""
        self._driver_publishers.display.repeat()
        if self._backend is None or self._pace is None:
            self._report.report_idle(self._why_closed)
            return
        health = None if self._hardware is None else self._hardware.motor_status
        self._report.report(self._backend, self._pace, health, self._malformed)
        self._driver_publishers.publish_status(
            self._backend.read(), self._backend, health, self._malformed
        )


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(DriverNode, args=args)


if __name__ == "__main__":
    main()
