"""A station whose hand, fixture or both are moved by Dynamixel servos."""

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
from handlab_core.objects.fixture import FIXTURES, Fixture
from handlab_core.safety.thermal_protection import ThermalProtection, ThermalState
from handlab_core.types import Array, BoolArray, Command, IntArray, JointState, Reading
from handlab_hardware.calibrate import calibrate
from handlab_hardware.clock import time_of_day, whole_ns
from handlab_hardware.dynamixel import report
from handlab_hardware.dynamixel.arming import arm_all
from handlab_hardware.dynamixel.bus import ServoBus
from handlab_hardware.dynamixel.failures import REOPEN_PERIOD, WATCHDOG, PortGone
from handlab_hardware.dynamixel.layout import GROUPS, Layout
from handlab_hardware.dynamixel.registers import RAD_PER_TICK
from handlab_hardware.dynamixel.servos import Servos
from handlab_hardware.dynamixel.wire import SYSFS
from handlab_hardware.guardian import Guardian
from handlab_hardware.station_file import Servo, StationFile, load_station, station_path

LET_GO = "handlab_hardware.dynamixel.letting_go:let_go"
"""The function by which the guardian turns the motors off."""

STANDSTILL = (
    "the driver stood still, and its guardian let the hand go; the joints engage from where they "
    "are now"
)
TELL_STANDSTILL = 5.0
"""Seconds for which a standstill is reported after it."""


class DynamixelBackend:
    """One robot on one servo bus; implements `handlab_core.hardware.backend.Backend` with N = 1.

    Opening it finds and checks every servo and leaves all torque off. `step` moves nothing until
    `activate`. A group that the station file gives no servos for reads NaN, with a stamp that never
    advances. What goes wrong on the bus is never raised by `step`: see `failures` and `health`.

    Args:
        hand: the station's hand.
        fixture: what holds the object.
        station: the facts of this machine.
        clock: s, gives the stamps and keeps the schedules.
        sysfs: where the kernel tells the adapter's latency timer.

    Raises:
        StationFault: the port or servos are not as they must be; lists what is wrong with all.
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
        self._rest: dict[str, ThermalState] = {}
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
        self._heat = {group: ThermalProtection(limit[layout.places[group]]) for group in GROUPS}
        heard = self._servos.fresh | self._servos.lost
        silent = [str(servo) for servo, ok in self._each(heard) if not ok]
        if silent:
            self.close()
            raise StationFault(f"no position from {', '.join(silent)}: check cables and power")
        self._reading = Reading(*(self._nothing(group) for group in GROUPS))
        self._advance(began)
        self._settle()

    # The backend's verbs.

    def reset(self, robots: IntArray | None = None, object_angle: float | Array = 0.0) -> Reading:
        """Refuse, by StationFault: hardware cannot be placed."""
        raise StationFault("a real station cannot be placed at once; reset it with its motors")

    def step(
        self,
        hand: Command,
        fixture: Command | None,
        period: float,
        robots: IntArray | None = None,
    ) -> Reading:
        """Send goals as they are, then read; does not wait. See `Backend.step` and `prepare`.

        In position mode the effort is the servo's own limit; in current-based mode it is sent.

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
        """Release all, turn the servos' watchdogs off, close the port. Twice is harmless."""
        self._closed, self._active, self._fault = True, False, "the station is closed"
        if self._bus is not None:
            with suppress(PortGone):  # then the watchdogs release what we cannot
                self._servos.disarm(self._bus)
            self._drop()
        self._dismiss()

    # Before a step.

    def prepare(self, hand: Array, fixture: Array) -> tuple[GoalsInForce, GoalsInForce]:
        """Engage and release servos, and report their goals; see `Hardware.prepare`.

        A servo stays passive if it is hot, has shut down, does not answer or refuses, and all do
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
        if was_let_go:  # what is commanded in this cycle may be as old as the standstill
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
            servos.examine_all(bus)  # we were away: their watchdogs may have tripped
        self._last_cycle = now
        servos.set_torque(bus, np.where(self._active & ~self._hot(), effort, 0.0))

    def _goals_in_force(self, group: str) -> GoalsInForce:
        servos, layout = self._servos, self._layout
        if group not in layout.served:
            return GoalsInForce.passive(np.full((1, len(layout.joints[group])), np.nan))
        places = layout.places[group]
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
        """Hold the hand where it is, and follow commands from now on; the fixture stays passive.

        Raises:
            StationFault: the adapter is gone, or a servo cannot be engaged; none then is.
        """
        bus, servos, layout = self._need_bus(), self._servos, self._layout
        hand = np.zeros(layout.n, dtype=bool)
        hand[layout.places[HAND]] = True
        self._guard()
        try:
            servos.examine_all(bus)
            servos.recount()
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
            why = "; ".join(report.problems(servos, layout, self._rest)) or "no answer"
            raise StationFault(f"cannot engage {', '.join(failed)}: {why}")
        self._last_cycle, self._active = self._clock(), True

    def deactivate(self) -> None:
        """Release all joints; commands wait for `activate`."""
        self._active = False
        self._release(np.ones(self._layout.n, dtype=bool))
        self._dismiss()

    # Maintenance, by the thread that steps, between steps.

    def reboot(self, joint: str) -> None:
        """Restart one servo, which clears its error; it is armed when it answers again.

        Meanwhile its group holds. Returns at once, since the other servos must not wait.

        Raises:
            UnknownName: no servo moves this joint.
            StationFault: the servo or the adapter does not answer.
        """
        place, bus = self._layout.place(joint), self._need_bus()
        try:
            self._servos.reboot(bus, place, self._clock())
        except PortGone as error:
            self._lose(error)
            raise
        self._settle()

    def calibrate(self, overwrite: bool = False, force: bool = False) -> str:
        """Write down the present pose as zero; see `calibrate`, which has the port meanwhile.

        Returns:
            The file's path.

        Raises:
            StationFault: torque is on, the adapter is gone, or what `calibrate` raises.
            BadConfig: what `calibrate` raises.
        """
        self._need_bus()
        if self._servos.engaged.any():
            raise StationFault("torque is on: deactivate, or turn it off, and hold the zero pose")
        nominal = load_station(self._station.path, nominal=True, port=self._layout.section.port)
        self._dismiss()  # it takes long, and a second voice on the bus would disturb it
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
        """How the servos are now."""
        servos, layout, bus = self._servos, self._layout, self._bus
        hand, fixture = (
            report.group_status(servos, layout, group, self._rest[group], bus is None)
            for group in GROUPS
        )
        counts = self._counts.copy()
        counts.update(servos.counts)
        if bus is None:
            return StationStatus(hand, fixture, (self._fault,), (), counts)
        counts.update(bus.counts)
        problems = report.problems(servos, layout, self._rest)
        if self._clock() - self._stood_still < TELL_STANDSTILL:
            problems = (STANDSTILL, *problems)
        return StationStatus(
            hand, fixture, problems, report.notes(bus, servos, layout.section), counts
        )

    # A cycle.

    def _cycle(self, bus: ServoBus, target: Array, effort: Array) -> None:
        servos = self._servos
        servos.send(bus, target, effort)
        self.delivered = True
        stamp = self._stamp()
        servos.read(bus)
        self._advance(stamp)
        servos.look_after(bus, self._last_cycle)
        self._settle()

    def _advance(self, stamp: float) -> None:
        """Take over what was read of each group that was read whole."""
        servos = self._servos
        states = {HAND: self._reading.hand, FIXTURE: self._reading.fixture}
        for group in self._layout.served:
            places = self._layout.places[group]
            if servos.fresh[places].all():
                values = (servos.q, servos.qd, servos.torque)
                rows = (value[None, places].copy() for value in values)
                states[group] = JointState(np.array([stamp]), *rows)
            else:
                self._counts["stale_cycles"] += 1
        if self._layout.no_fixture:  # nothing is there that could turn
            states[FIXTURE] = JointState(states[HAND].stamp, *np.zeros((3, 1, 1)))
        self._reading = Reading(states[HAND], states[FIXTURE])

    def _settle(self) -> None:
        """Judge heat, and which group must hold because a servo is away."""
        servos = self._servos
        for group, places in self._layout.places.items():
            self._rest[group] = self._heat[group].update(servos.temperature[places])
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
        """Open the port, check and arm all servos; return when [s] their motion was read."""
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
        """The adapter is gone, and with it all that we know of the servos' torque."""
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
        """Try to open the port, if it is time."""
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

    # Small things.

    def _check_open(self) -> None:
        if self._closed:
            raise StationFault("the station is closed")

    def _guard(self) -> None:
        if self._guardian is None:
            section = self._layout.section
            self._guardian = Guardian(LET_GO, section.port, str(section.baud))

    def _dismiss(self) -> None:
        if self._guardian is not None:
            self._guardian.dismiss()
            self._guardian = None

    def _hot(self) -> BoolArray:
        return np.concatenate([self._rest[group].hot for group in GROUPS])

    def _each(self, values: BoolArray) -> list[tuple[Servo, bool]]:
        return list(zip(self._servos.servos, values.tolist(), strict=True))

    def _stamp(self) -> float:
        return whole_ns(self._clock())

    def _nothing(self, group: str) -> JointState:
        """The reading of a group of which nothing is known."""
        values = np.full((3, 1, len(self._layout.joints[group])), np.nan)
        return JointState(np.array([self._stamp()]), *values)


def make_backend(
    hand: str, fixture: str, station: str | Path = "", port: str = ""
) -> DynamixelBackend:
    """Open a station by the names of hand and object; stamps are the time of day.

    Args:
        hand: its name.
        fixture: its name.
        station: path of the station file; empty: the one that comes with handlab for this hand.
        port: in the place of the station file's; empty: that one.
    """
    facts = load_station(station or station_path(hand), port=port)
    return DynamixelBackend(make_hand(hand), FIXTURES.make(fixture), facts, time_of_day())
