"""Backend of a hand, a fixture or both that Dynamixel servos move."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from handlab_core.errors import StationFault
from handlab_core.hands import Hand, make_hand
from handlab_core.hardware.backend import GoalsInForce
from handlab_core.hardware.lockstep import FIXTURE, HAND
from handlab_core.hardware.motor_status import StationStatus
from handlab_core.hardware.servo_monitor import ServoMonitor
from handlab_core.objects.fixture import FIXTURES, Fixture
from handlab_core.safety.thermal_protection import ThermalProtection, ThermalState
from handlab_core.types import Array, BoolArray, Command, IntArray, JointState, Reading
from handlab_core.worlds.fitted import read_fit, servos_of_fit
from handlab_hardware.calibrate import calibrate
from handlab_hardware.clock import time_of_day, whole_ns
from handlab_hardware.dynamixel import servo_status
from handlab_hardware.dynamixel.arming import arm_all
from handlab_hardware.dynamixel.failures import REOPEN_PERIOD, WATCHDOG, PortGone
from handlab_hardware.dynamixel.layout import GROUPS, Layout
from handlab_hardware.dynamixel.protocol.bus import ServoBus
from handlab_hardware.dynamixel.protocol.registers import RAD_PER_TICK
from handlab_hardware.dynamixel.protocol.serial_port import SYSFS
from handlab_hardware.dynamixel.servos import Servos
from handlab_hardware.guardian import REPORT_STANDSTILL, STANDSTILL, Guardian
from handlab_hardware.station_file import (
    Servo,
    StationFile,
    fitted_file,
    load_station,
    station_path,
)

LET_GO = "handlab_hardware.dynamixel.emergency_release:let_go"
"""Function with which the guardian turns the motors off."""


class DynamixelBackend:
    """Backend of one robot on one servo bus; implements `handlab_core.hardware.backend.Hardware`.

    Construction finds and checks all servos and leaves their torque off. `step` moves nothing
    before `activate`. A group without servos reads NaN, and its stamp never advances. `step` raises
    no bus failure: see `failures` and `motor_status`.

    Args:
        hand: the station's hand.
        fixture: the station's fixture.
        station: station file.
        clock: clock of stamps and schedules, s.
        sysfs: folder of the kernel with the latency timers of adapters.

    Raises:
        StationFault: the port or servos are not usable; lists the problems of all servos.
        BadConfig: the station file is for another hand or fixture, or names no servos.
    """

    num_envs = 1

    def __init__(
        self,
        hand: Hand,
        fixture: Fixture,
        station: StationFile,
        clock: Callable[[], float] = time.monotonic,
        sysfs: Path = SYSFS,
    ) -> None:
        self._station = station
        self._layout = layout = Layout(hand, fixture, station)
        self._clock, self._sysfs = clock, sysfs
        self._servos = Servos(layout.plans, clock)
        self._thermal: dict[str, ThermalState] = {}
        self._held: dict[str, Array] = {}
        self._counts = Counter(retries=0, lost_packets=0, stale_cycles=0, reopened=0)
        self._active = self._closed = self.delivered = False
        self._bus: ServoBus | None = None
        self._fault = ""
        self._guardian: Guardian | None = None
        self._stood_still = -np.inf
        self._last_cycle = self._next_open = 0.0
        began = self._open()
        limit = self._servos.temperature_limit
        self._heat = {group: ThermalProtection(limit[layout.slices[group]]) for group in GROUPS}
        heard = self._servos.fresh | self._servos.lost
        silent = [str(servo) for servo, ok in self._each(heard) if not ok]
        if silent:
            self.close()
            raise StationFault(f"no position from {', '.join(silent)}: check cables and power")
        self._monitor = ServoMonitor(layout.max_effort, _healthy_gains(layout, station))
        self._monitored_at = began
        self._reading = Reading(*(self._nothing(group) for group in GROUPS))
        self._advance(began)
        self._settle()

    # Verbs of every backend.

    def reset(self, robots: IntArray | None = None, object_angle: float | Array = 0.0) -> Reading:
        """Raise StationFault: hardware cannot be placed."""
        raise StationFault("a real station cannot be placed at once; reset it with its motors")

    def step(
        self,
        hand: Command,
        fixture: Command | None,
        period: float,
        robots: IntArray | None = None,
    ) -> Reading:
        """Send goals unchanged, then read, without waiting; see `Backend.step` and `prepare`.

        The effort is sent in current-based mode only. In position mode the servo's own limit holds.

        Raises:
            ValueError: a command has the wrong shape, or targets that are not finite.
            StationFault: the station is closed.
        """
        self._check_open()
        target, effort = self._layout.joined(hand, fixture)
        self.delivered = False
        if self._bus is None:
            self._counts["stale_cycles"] += len(self._layout.served)
            return self._reading
        try:
            self._cycle(self._bus, target, effort)
        except PortGone as error:
            self._lose(error)
        return self._reading

    def read(self) -> Reading:
        """Return the newest reading."""
        return self._reading

    def close(self) -> None:
        """Release all servos, turn their watchdogs off and close the port.

        A second call has no effect.
        """
        self._closed, self._active, self._fault = True, False, "the station is closed"
        if self._bus is not None:
            with suppress(PortGone):  # without a port the servos' watchdogs stop them
                self._servos.disarm(self._bus)
            self._drop()
        self._dismiss()

    # Before a step.

    def prepare(self, hand: Array, fixture: Array) -> tuple[GoalsInForce, GoalsInForce]:
        """Engage and release servos, and return their goals in force; see `Hardware.prepare`.

        A servo stays passive while it is hot, shut down, silent or refuses. All servos stay passive
        while the station is not active or the adapter is gone.

        Raises:
            StationFault: the station is closed.
        """
        self._check_open()
        was_let_go = self._guardian is not None and self._guardian.beat()
        now = self._clock()
        if self._bus is None:
            self._reopen(now)
        effort = self._layout.in_order(hand, fixture)
        if was_let_go:  # the commands of this cycle may be as old as the standstill
            self._stood_still, effort = now, np.zeros_like(effort)
            self._counts["let_go_by_guardian"] += 1
        if self._bus is not None:
            try:
                self._set_torque(self._bus, effort, now)
            except PortGone as error:
                self._lose(error)
        in_force = [self._goals_in_force(group) for group in GROUPS]
        return in_force[0], in_force[1]

    def _set_torque(self, bus: ServoBus, effort: Array, now: float) -> None:
        servos = self._servos
        if now - self._last_cycle > WATCHDOG:
            servos.examine_all(bus)  # after a gap the servos' watchdogs may have tripped
        self._last_cycle = now
        servos.set_torque(bus, np.where(self._active & ~self._hot(), effort, 0.0))

    def _goals_in_force(self, group: str) -> GoalsInForce:
        servos, layout = self._servos, self._layout
        if group not in layout.served:
            return GoalsInForce.passive(np.full((1, len(layout.joints[group])), np.nan))
        places = layout.slices[group]
        engaged = servos.engaged[None, places]
        q, effort = servos.q[None, places], servos.effort[None, places]
        goal = Command(
            np.where(engaged, servos.goal[None, places], q), np.where(engaged, effort, 0.0)
        )
        age = self._clock() - servos.sent_at[None, places]
        held = self._held.get(group)
        hold = None if held is None else held[None]
        return GoalsInForce(goal, age, servos.max_effort[None, places], RAD_PER_TICK, hold)

    # Lifecycle.

    def activate(self) -> None:
        """Engage the hand at its present position; the fixture stays passive.

        Raises:
            StationFault: the adapter is gone, or a servo cannot be engaged. All servos are then
                released.
        """
        bus, servos, layout = self._need_bus(), self._servos, self._layout
        hand = np.zeros(layout.n, dtype=bool)
        hand[layout.slices[HAND]] = True
        guardian = self._guard()
        try:
            servos.examine_all(bus)
            servos.recount()
            guardian.await_ready()  # which has started meanwhile
            servos.read(bus)
            wanted = hand & ~self._hot()
            if not servos.lost.any():
                servos.engage(bus, wanted & ~servos.locked, layout.max_effort)
            failed = [str(s) for s, ok in self._each(servos.engaged | ~wanted) if not ok]
            failed = failed or [str(s) for s, lost in self._each(servos.lost) if lost]
            if failed:
                servos.release(bus, servos.engaged.copy())
        except PortGone as error:
            self._dismiss()
            self._lose(error)
            raise
        if failed:
            self._dismiss()
            why = "; ".join(servo_status.problems(servos, layout, self._thermal)) or "no answer"
            raise StationFault(f"cannot engage {', '.join(failed)}: {why}")
        self._last_cycle, self._active = self._clock(), True

    def deactivate(self) -> None:
        """Release all joints; commands have no effect until `activate`."""
        self._active = False
        self._release(np.ones(self._layout.n, dtype=bool))
        self._dismiss()

    # Maintenance, called between steps by the stepping thread.

    def reboot(self, joint: str) -> None:
        """Restart one servo, which clears its error; the servo is armed when it answers again.

        Until then its group holds. The method returns at once, since other servos must not wait.

        Raises:
            UnknownName: no servo moves this joint.
            StationFault: the servo or the adapter does not answer.
        """
        place, bus = self._layout.index(joint), self._need_bus()
        try:
            self._servos.reboot(bus, place, self._clock())
        except PortGone as error:
            self._lose(error)
            raise
        self._settle()

    def calibrate(self, overwrite: bool = False, force: bool = False) -> str:
        """Write the present pose to the calibration file as the zero pose; see `calibrate`.

        The port is closed meanwhile.

        Returns:
            Path of the calibration file.

        Raises:
            StationFault: torque is on, the adapter is gone, or see `calibrate`.
            BadConfig: see `calibrate`.
        """
        self._need_bus()
        if self._servos.engaged.any():
            raise StationFault("torque is on: deactivate, or turn it off, and hold the zero pose")
        nominal = load_station(self._station.path, nominal=True, port=self._layout.section.port)
        self._dismiss()  # the guardian must not write during the long calibration
        self._drop()
        try:
            return str(calibrate(nominal, overwrite, force))
        finally:
            self._fault, self._next_open = "calibrating", self._clock()
            self._reopen(self._next_open)
            if self._active:
                self._guard()

    @property
    def motor_status(self) -> StationStatus:
        """Return the state of the servos."""
        servos, layout, bus = self._servos, self._layout, self._bus
        hand, fixture = (
            servo_status.group_status(servos, layout, group, self._thermal[group], bus is None)
            for group in GROUPS
        )
        counts = self._counts.copy()
        counts.update(servos.counts)
        if bus is None:
            return StationStatus(hand, fixture, (self._fault,), counts=counts)
        counts.update(bus.counts)
        problems = servo_status.problems(servos, layout, self._thermal)
        if self._clock() - self._stood_still < REPORT_STANDSTILL:
            problems = (STANDSTILL, *problems)
        return StationStatus(
            hand,
            fixture,
            problems,
            servo_status.notes(bus, servos, layout.section),
            servo_status.worn(servos, self._monitor),
            counts,
        )

    # A cycle.

    def _cycle(self, bus: ServoBus, target: Array, effort: Array) -> None:
        servos = self._servos
        servos.send(bus, target, effort)
        self.delivered = True
        stamp = self._stamp()
        servos.read(bus)
        self._monitor.observe(
            stamp - self._monitored_at, servos.goal, servos.q, servos.qd, servos.torque,
            servos.engaged & servos.fresh & servos.feels,
        )  # fmt: skip
        self._monitored_at = stamp
        self._advance(stamp)
        servos.look_after(bus, self._last_cycle)
        self._settle()

    def _advance(self, stamp: float) -> None:
        """Update the readings of groups whose servos have all answered.

        A state of the object without a state of the hand at the same time has no reward. So a lost
        answer leaves out the reading of both groups, until the servo counts as silent.
        """
        servos = self._servos
        complete = not servos.missed.any()
        states = {HAND: self._reading.hand, FIXTURE: self._reading.fixture}
        for group in self._layout.served:
            places = self._layout.slices[group]
            if complete and servos.fresh[places].all():
                values = (servos.q, servos.qd, servos.torque)
                rows = (value[None, places].copy() for value in values)
                states[group] = JointState(np.array([stamp]), *rows)
            else:
                self._counts["stale_cycles"] += 1
        if self._layout.no_fixture:
            states[FIXTURE] = JointState(states[HAND].stamp, *np.zeros((3, 1, 1)))
        self._reading = Reading(states[HAND], states[FIXTURE])

    def _settle(self) -> None:
        """Update thermal protection, and the positions of groups that hold for an absent servo."""
        servos = self._servos
        for group, places in self._layout.slices.items():
            self._thermal[group] = self._heat[group].update(servos.temperature[places])
            if not servos.absent[places].any():
                self._held.pop(group, None)
            elif group not in self._held:
                self._held[group] = servos.q[places].copy()

    def _release(self, which: BoolArray) -> None:
        if self._bus is None:
            return
        try:
            self._servos.release(self._bus, which & self._servos.engaged)
        except PortGone as error:
            self._lose(error)

    # The adapter.

    def _open(self) -> float:
        """Open the port, check and arm all servos; return the time of their first reading, s."""
        section = self._layout.section
        bus = ServoBus(section.port, section.baud, self._sysfs)
        try:
            facts = arm_all(bus, self._layout.plans)
            began = self._stamp()
            self._servos.adopt(bus, facts, began)
        except BaseException:
            bus.close()
            raise
        self._bus, self._last_cycle = bus, self._clock()
        return began

    def _lose(self, error: PortGone) -> None:
        """Record the loss of the adapter; the torque of the servos is then unknown."""
        self._drop()
        self._fault = f"{error}: plug it in; it is tried again every {REOPEN_PERIOD:g} s"
        self._next_open = self._clock() + REOPEN_PERIOD
        self._counts["ports_lost"] += 1

    def _drop(self) -> None:
        if self._bus is not None:
            self._counts.update(self._bus.counts)
            self._bus.close()
            self._bus = None
        self._servos.engaged[:] = self._servos.fresh[:] = False

    def _reopen(self, now: float) -> None:
        """Try to open the port if REOPEN_PERIOD has passed."""
        if now < self._next_open:
            return
        self._next_open = now + REOPEN_PERIOD
        try:
            self._open()
        except StationFault as error:
            self._fault = f"{error}; it is tried again every {REOPEN_PERIOD:g} s"
            return
        self._counts["reopened"] += 1

    def _need_bus(self) -> ServoBus:
        if self._bus is None:
            raise StationFault(self._fault)
        return self._bus

    # Helpers.

    def _check_open(self) -> None:
        if self._closed:
            raise StationFault("the station is closed")

    def _guard(self) -> Guardian:
        if self._guardian is None:
            section = self._layout.section
            self._guardian = Guardian(LET_GO, section.port, str(section.baud))
        return self._guardian

    def _dismiss(self) -> None:
        if self._guardian is not None:
            self._guardian.dismiss()
            self._guardian = None

    def _hot(self) -> BoolArray:
        return np.concatenate([self._thermal[group].hot for group in GROUPS])

    def _each(self, values: BoolArray) -> list[tuple[Servo, bool]]:
        return list(zip(self._servos.servos, values.tolist(), strict=True))

    def _stamp(self) -> float:
        return whole_ns(self._clock())

    def _nothing(self, group: str) -> JointState:
        """Return the reading of a group without data."""
        values = np.full((3, 1, len(self._layout.joints[group])), np.nan)
        return JointState(np.array([self._stamp()]), *values)


def _healthy_gains(layout: Layout, station: StationFile) -> Array:
    """Return the gains of the servos as `identify` has measured them, (n,) N m/rad; NaN: unknown.

    Raises:
        BadConfig: the file of the fit is damaged, or of another hand.
    """
    gains = np.full(layout.n, np.nan)
    path = fitted_file(station.path, layout.section.port)
    if path.is_file() and HAND in layout.served:
        hand = make_hand(station.hand)
        gains[layout.slices[HAND]] = servos_of_fit(read_fit(path), hand).gain
    return gains


def make_backend(
    hand: str, fixture: str, station: str | Path = "", port: str = ""
) -> DynamixelBackend:
    """Open a servo station by the names of hand and fixture; stamps are the time of day.

    Args:
        hand: name of the hand.
        fixture: name of the fixture.
        station: path of the station file; empty: handlab's own for this hand.
        port: serial port that replaces the station file's; empty: use the file's.

    Raises:
        BadConfig, StationFault: see `load_station` and `DynamixelBackend`.
    """
    facts = load_station(station or station_path(hand), port=port)
    return DynamixelBackend(make_hand(hand), FIXTURES.make(fixture), facts, time_of_day())
