"""A hand that this process drives itself, on its bus and without ROS."""

import time
from collections.abc import Callable
from typing import Self

import numpy as np

from handlab.operation.place import SERVOS, Place
from handlab.operation.report import HandReport, JointReport
from handlab_core.errors import HandlabError, StationFault
from handlab_core.hardware.backend import Hardware, make_backend
from handlab_core.hardware.lockstep import HAND
from handlab_core.options import DriverOptions
from handlab_core.safety import limits
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.types import Reading
from handlab_hardware.calibrate import calibrate
from handlab_hardware.dynamixel.failures import PacketLost
from handlab_hardware.dynamixel.inspection import ServoState, read_servos
from handlab_hardware.dynamixel.protocol.bus import ServoBus
from handlab_hardware.guardian import STANDSTILL
from handlab_hardware.station_file import DynamixelSection, load_station
from handlab_nodes.driver.step_loop import RealPace

REBOOT_PATIENCE = 3.0
"""s; time for a servo to start again; an emulated one takes 0.25 s."""

GRACE = 1.5
"""s; a port that is lost is opened again after one second, and a hand that was let go engages."""

FIRST_READING = 1.0
"""s; time for the first reading after the hand is engaged."""


class DirectHand:
    """Implements `handlab.operation.operated_hand.OperatedHand` on a bus, as a context.

    The bus is opened by the first verb. Verbs that move the hand use the driver's own loop, with
    its clamp, watchdog and guardian; the end of the context releases the hand.

    Args:
        place: the hand.
    """

    def __init__(self, place: Place) -> None:
        self._place, self.hand = place, place.hand
        self.place = f"{place.hand.name} on {place.shown_port}"
        self._hardware: Hardware | None = None
        self._clamped: ClampedBackend | None = None
        self._pace: RealPace | None = None
        self._well_at = 0.0  # s; monotonic time of the newest check without a problem

    def __enter__(self) -> Self:
        """Return the hand; nothing is opened yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the hand and close the bus."""
        self._close()

    # Verbs without motion.

    def report(self) -> HandReport:
        """See `OperatedHand.report`."""
        section = self._place.station.dynamixel
        joints: list[JointReport] = []
        if self._place.hardware != SERVOS:
            joints += self._reported_hand()
        if section is not None:
            joints += [_joint_report(state) for state in read_servos(section)]
        return HandReport(self.place, tuple(joints))

    def _reported_hand(self) -> list[JointReport]:
        """Return the joints of a hand whose motors cannot be asked one by one."""
        _, clamped = self._open()
        assert self._hardware is not None
        status, reading = self._hardware.motor_status, clamped.read().hand
        problem = "; ".join(status.problems)
        return [
            JointReport(
                joint,
                position=float(reading.q[0, i]),
                effort=float(reading.effort[0, i]),
                temperature=float(status.hand.temperature[i]),
                voltage=float(status.hand.voltage[i]),
                torque=bool(status.hand.torque[i]),
                problem=problem if status.hand.silent[i] or status.hand.hardware_error[i] else "",
            )
            for i, joint in enumerate(self.hand.joints)
        ]

    def torque_off(self, joints: tuple[str, ...]) -> None:
        """See `OperatedHand.torque_off`."""
        section = self._servos("release single joints of")
        wanted = self._ids(section, joints)
        bus, silent = ServoBus(section.port, section.baud), []
        try:
            for joint, id in wanted.items():
                try:
                    bus.write(id, "torque_enable", 0)
                except PacketLost:
                    silent.append(f"servo {id} ({joint})")
        finally:
            bus.close()
        if silent:
            raise StationFault(
                f"{', '.join(silent)} did not confirm: check the cables, or switch the power off"
            )

    def calibrate(self, overwrite: bool, force: bool) -> str:
        """See `OperatedHand.calibrate`."""
        self._servos("calibrate")
        station = self._place.station
        nominal = load_station(station.path, nominal=True, port=self._place.port)
        return str(calibrate(nominal, overwrite, force))

    def reboot(self, joint: str) -> str:
        """See `OperatedHand.reboot`."""
        section = self._servos("restart single motors of")
        id = self._ids(section, (joint,))[joint]
        bus = ServoBus(section.port, section.baud)
        try:
            bus.ping(id)
            bus.reboot(id)
            end = time.monotonic() + REBOOT_PATIENCE
            while True:
                try:
                    bus.ping(id, 0)
                    break
                except PacketLost:
                    if time.monotonic() > end:
                        raise StationFault(
                            f"servo {id} ({joint}) is not back after {REBOOT_PATIENCE:g} s: "
                            "switch its power off and on"
                        ) from None
            [state] = [s for s in read_servos(section, bus) if s.joint == joint]
        finally:
            bus.close()
        return f"servo {id} ({joint}) is back: {state.problem or 'no error, torque off'}"

    def _servos(self, what: str) -> DynamixelSection:
        """Return the servos; raise StationFault if the hand has none."""
        section = self._place.station.dynamixel
        if self._place.hardware != SERVOS or section is None:
            raise StationFault(
                f"handlab cannot {what} a hand on {self._place.shown_port}: "
                "its electronics do that; switch its power off and on"
            )
        return section

    def _ids(self, section: DynamixelSection, joints: tuple[str, ...]) -> dict[str, int]:
        known = {servo.joint: servo.id for servo in section.servos}
        for joint in joints:
            if joint not in known:
                self.hand.index(joint)  # which names all joints
        return {joint: known[joint] for joint in joints or known}

    # Verbs that move.

    def torque_on(self, joints: tuple[str, ...]) -> Callable[[], None] | None:
        """See `OperatedHand.torque_on`."""
        for joint in joints:
            self.hand.index(joint)
        pace, clamped = self._engage()
        for joint in self.hand.joints:
            clamped.loosen(joint, bool(joints) and joint not in joints)
        held = limits.hold(clamped.read().hand.q, limits.Limits.of_hand(self.hand))

        def keep() -> None:
            self.check()
            pace.command(HAND, held, 0.0)

        return keep

    def position(self, joint: str) -> float:
        """See `OperatedHand.position`."""
        _, clamped = self._engage()
        return float(clamped.read().hand.q[0, self.hand.index(joint)])

    def measured_at(self) -> float:
        """See `OperatedHand.measured_at`."""
        _, clamped = self._engage()
        return float(clamped.read().hand.stamp[0])

    def step(self, joint: str, position: float, alone: bool) -> float:
        """See `OperatedHand.step`."""
        pace, _ = self._engage()
        self.check()
        return pace.jog(joint, position, alone)

    def check(self) -> None:
        """See `OperatedHand.check`."""
        if self._pace is not None:
            self._pace.check()
        if self._hardware is None:
            return
        now, said = time.monotonic(), self._hardware.motor_status.problems
        problems = [problem for problem in said if problem != STANDSTILL]  # which has ended
        if not problems:
            self._well_at = now
        elif now - self._well_at > GRACE:
            raise StationFault("; ".join(problems))

    @property
    def switch(self) -> "DirectSwitch":
        """See `OperatedHand.switch`."""
        return DirectSwitch(self)

    def _open(self) -> tuple[RealPace, ClampedBackend]:
        """Open and check the motors; nothing moves."""
        if self._pace is None or self._clamped is None:
            place, options = self._place, DriverOptions()
            backend = make_backend(
                place.hardware,
                hand=place.hand.name,
                fixture=place.fixture.name,
                station=str(place.station.path),
                port=place.port,
            )
            assert isinstance(backend, Hardware)
            self._hardware = backend
            self._clamped = ClampedBackend(place.hand, place.fixture, backend)
            self._pace = RealPace(
                place.hand, place.fixture, self._clamped, options.rate, _ignore,
                options.resting_rate, simulated=False,
            )  # fmt: skip
            self._running = False
        return self._pace, self._clamped

    def _engage(self) -> tuple[RealPace, ClampedBackend]:
        pace, clamped = self._open()
        if not self._running:
            assert self._hardware is not None
            self._hardware.activate()
            self._running, self._well_at = True, time.monotonic()
            pace.start()
            end = time.monotonic() + FIRST_READING
            while not np.isfinite(clamped.read().hand.q).all() and time.monotonic() < end:
                time.sleep(pace.period)
        return pace, clamped

    def stop(self) -> None:
        """Release the hand at once, from any thread."""
        if self._pace is not None and self._hardware is not None:
            self._pace.ask(self._hardware.deactivate)

    def engage_again(self) -> None:
        """Engage the hand at its present pose after `stop`."""
        if self._pace is not None and self._hardware is not None:
            self._pace.ask(self._hardware.activate)

    def _close(self) -> None:
        if self._pace is not None and self._hardware is not None:
            self._pace.stop()
            self._hardware.deactivate()
            self._hardware.close()
        self._pace = self._hardware = self._clamped = None


class DirectSwitch:
    """Implements `handlab.operation.stop_key.Switch` for a hand of this process."""

    def __init__(self, hand: DirectHand) -> None:
        self._hand = hand

    def stop(self) -> str:
        """See `Switch.stop`."""
        self._hand.stop()
        return "confirmed"

    def engage(self, engaged: Callable[[str], None]) -> None:
        """See `Switch.engage`."""
        try:
            self._hand.engage_again()
        except HandlabError as error:
            engaged(str(error))
        else:
            engaged("")

    def suspend(self) -> bool:
        """See `Switch.suspend`."""
        self._hand.stop()
        return True


def _ignore(reading: Reading) -> None:
    """Drop a reading: the clamp keeps the newest."""


def _joint_report(state: ServoState) -> JointReport:
    motor = f"{state.id}"
    if state.model:
        motor += f" {state.model} v{state.firmware}"
    return JointReport(
        state.joint, motor, state.position, state.target, state.effort, state.temperature,
        state.voltage, state.torque if state.model else None, state.problem,
    )  # fmt: skip
