"""Backend of an Allegro hand: a `HandDriver` on a CAN bus, in a thread of its own.

The thread reads frames as they arrive. When the bus fails as a whole (adapter unplugged, bus off),
the thread reports the failure, opens the bus again every REOPEN_EVERY and repeats the start-up. The
rules of `HandDriver` decide whether the motors go on again.

The hand has no known watchdog: it holds the last torque when the host falls silent. A guardian
process therefore watches the driver's thread while the hand is engaged (see `guardian`).
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from handlab_core.errors import BadConfig, StationFault, StationTimeout
from handlab_core.hands import Hand, make_hand
from handlab_core.hands.allegro import SIDE
from handlab_core.hardware.backend import GoalsInForce
from handlab_core.hardware.motor_status import GroupStatus, StationStatus
from handlab_core.objects.fixture import BARE, FIXTURES
from handlab_core.types import Array, Command, IntArray, JointState, Reading
from handlab_hardware.allegro.can_bus import CanBus, CanBusLost
from handlab_hardware.allegro.config import HAND, AllegroConfig
from handlab_hardware.allegro.driver import HandDriver, Measurement
from handlab_hardware.allegro.protocol import FINGER_NAMES, SIDES, Frame, HandInfo, Serial
from handlab_hardware.clock import time_of_day, whole_ns
from handlab_hardware.guardian import REPORT_STANDSTILL, STANDSTILL, Guardian
from handlab_hardware.station_file import load_station, station_path

POLL = 0.005
"""s; longest wait for a frame, a third of FINGER_LATE."""
BURST = 64
"""Largest number of frames between two checks of the time, however busy the bus is."""
ANSWER_TIMEOUT = 1.0
"""s; timeout of the hand's answers during start-up; a hand answers within a millisecond."""
ENGAGE_TIMEOUT = 3.0
"""s; timeout of engaging, which needs complete sets of frames without a gap.

An idle computer needs 60 ms. On a busy one gaps occur, and a lost hand is started again first."""
REOPEN_EVERY = 0.5
"""s; time between attempts to open a bus that failed."""

LET_GO = "handlab_hardware.allegro.emergency_release:let_go"
"""Function with which the guardian turns the motors off."""

Clock = Callable[[], float]

log = logging.getLogger(__name__)


class AllegroBackend:
    """Backend of one Allegro hand; implements `handlab_core.hardware.backend.Hardware`.

    Another driver serves the fixture. Its reading here is NaN and its stamp never advances. At a
    station without a fixture its reading is zero, with the stamps of the hand.

    Args:
        hand: description of the hand.
        config: section `allegro` of the station file.
        clock: monotonic clock, s; gives the stamps.
        no_fixture: whether the station has no fixture, and the task needs none.

    Raises:
        BadConfig: the configured hand is a left hand.
        StationFault: the bus cannot be opened, or the hand on the bus is not the configured one.
        StationTimeout: the hand or a finger does not answer.
    """

    num_envs = 1
    delivered = False

    def __init__(
        self,
        hand: Hand,
        config: AllegroConfig,
        clock: Clock = time.monotonic,
        no_fixture: bool = False,
    ) -> None:
        self._hand, self._config, self._clock = hand, config, clock
        self._no_fixture = no_fixture
        if config.side != SIDE:
            raise BadConfig(
                f"allegro: side is {config.side}; only a {SIDE} hand can be driven, as "
                "urdf/allegro describes no other: connect a right hand and correct `side`"
            )
        self._lock, self._moved = threading.Lock(), threading.Condition()
        self._stop = threading.Event()
        self._failure = ""
        self._guardian: Guardian | None = None
        self._guarding = threading.Lock()
        self._stood_still = -np.inf
        self.counts: Counter[str] = Counter(bus_failures=0, let_go_by_guardian=0)
        self._wire, self._lost = CanBus(config.interface, config.channel), False
        self._driver = HandDriver(hand, config, self._send)
        try:
            self._open()
        except BaseException:
            self._shut()
            raise
        self._thread = threading.Thread(target=self._run, name="allegro", daemon=True)
        self._thread.start()

    # Verbs of every backend.

    def reset(self, robots: IntArray | None = None, object_angle: float | Array = 0.0) -> Reading:
        """Raise StationFault: hardware cannot be placed."""
        raise StationFault("a real hand cannot be placed; use the reset that moves it")

    def step(
        self,
        hand: Command,
        fixture: Command | None,
        period: float,
        robots: IntArray | None = None,
    ) -> Reading:
        """Pass targets to the driver's thread and return the newest reading, without waiting.

        The driver interpolates between targets. An effort of 0 releases its joint. The caller keeps
        the schedule. See `Backend.step` and `prepare`.
        """
        with self._lock:
            self._driver.command(hand.q[0], hand.effort[0], self._now(), period)
            self.delivered = not (self._lost or self._wire.full)
        return self.read()

    def prepare(self, hand: Array, fixture: Array) -> tuple[GoalsInForce, GoalsInForce]:
        """Return the goals in force; see `Hardware.prepare`.

        A joint is passive while the motors are off, while it is hot and while its finger is silent.
        The effort of a command engages and releases its joint.
        """
        with self._lock:
            in_force = self._driver.in_force(self._now())
        return in_force, GoalsInForce.passive(np.full((1, 1), np.nan))

    def read(self) -> Reading:
        """Return the newest complete reading; its stamp is the time of its last frame."""
        with self._lock:
            newest = self._driver.measurement
        assert newest is not None  # the constructor waited for it
        hand = _joint_state(newest)
        if self._no_fixture:
            return Reading(hand, JointState(hand.stamp, *np.zeros((3, 1, 1))))
        return Reading(hand, _nothing_of_the_fixture())

    def close(self) -> None:
        """Turn motors and frames off, and close the bus."""
        self._stop.set()
        self._thread.join()
        self._shut()

    # Verbs of hardware.

    def activate(self) -> None:
        """Turn the motors on; every joint holds its position.

        Raises:
            StationFault: the motors did not go on in time; the message gives the reason.
        """
        self._guard()
        with self._lock:
            self._driver.engage(True)
        if not self._wait_for(lambda: self._driver.engaged, ENGAGE_TIMEOUT):
            why = "; ".join(self.motor_status.problems) or "no whole sets of finger frames come"
            self.deactivate()
            raise StationFault(f"the hand on {self._config.channel} does not engage: {why}")

    def deactivate(self) -> None:
        """Turn the motors off; readings continue."""
        with self._lock:
            self._driver.engage(False)
        if self._wait_for(lambda: not self._driver.engaged, ENGAGE_TIMEOUT):
            self._dismiss()  # otherwise the guardian must release the torque

    @property
    def motor_status(self) -> StationStatus:
        """Return the state of the hand's motors; the state of the fixture is unknown."""
        with self._lock:
            now, driver = self._now(), self._driver
            problems = self._wire.problems() + driver.problems(now)
            if now - self._stood_still < REPORT_STANDSTILL:
                problems = (STANDSTILL, *problems)
            problems = (self._failure,) if self._failure else problems
            n = self._hand.n
            status = 0 if driver.info is None else int(driver.info.status) & ~1
            errors = driver.errors
            group = GroupStatus(
                temperature=driver.temperature.copy(),
                voltage=np.full(n, np.nan),
                hardware_error=tuple(int(bits) or status for bits in errors),
                silent=driver.silent_joints(now),
                torque=driver.engaged & (errors == 0),
                hot=driver.hot,
                pause=driver.pause,
            )
            counts = {**driver.counts, **self._wire.counts, **self.counts}
        return StationStatus(group, GroupStatus.unknown(1), problems, counts=counts)

    def reboot(self, joint: str) -> None:
        """Raise StationFault: the protocol has no such message."""
        self._hand.index(joint)
        raise StationFault("an Allegro hand restarts only as a whole: switch its power off and on")

    def calibrate(self, overwrite: bool = False, force: bool = False) -> str:
        """Raise StationFault: the hand applies zeros that its vendor has set."""
        raise StationFault(
            "an Allegro hand applies its zeros itself; correct a joint with `zeros` in the section "
            "`allegro` of the station file"
        )

    # The driver's thread.

    def _now(self, ago: float = 0.0) -> float:
        return whole_ns(self._clock() - ago)

    def _send(self, frame: Frame) -> bool:
        return self._wire.send(frame)

    def _pump(self) -> None:
        """Process the frames that have arrived, then let the driver check their age.

        This order keeps frames that waited for this thread from counting as late. Their stamps are
        their times of arrival.
        """
        frame, taken = self._wire.receive(POLL), 0
        while frame is not None:
            with self._lock:
                self._driver.receive(frame, self._now(frame.waited))
            taken += 1
            frame = self._wire.receive(0.0) if taken < BURST else None
        with self._lock:
            self._driver.tick(self._now())

    def _open(self) -> None:
        """Start the hand up, and check its identity."""
        driver, where = self._driver, f"on {self._config.channel} ({self._config.interface})"
        self._wire.flush()
        driver.start(self._now())
        needs_info = not self._config.protocol.side_in_serial
        self._pump_until(
            lambda: driver.serial is not None and (driver.info is not None or not needs_info)
        )
        if driver.serial is None:
            raise StationTimeout(
                f"no hand with device id {self._config.device} answers {where}: check that it is "
                f"powered, that the CAN cable is in, and that the bus runs at 1 Mbit/s"
            )
        check_identity(driver.info, driver.serial, self._config, where)
        if not self._pump_until(lambda: driver.measurement is not None):
            silent = driver.silent_fingers(self._now())
            names = ", ".join(n for n, gone in zip(FINGER_NAMES, silent, strict=True) if gone)
            raise StationTimeout(f"the hand {where} answers, but sends no angles of {names}")

    def _pump_until(self, done: Callable[[], bool]) -> bool:
        deadline = self._clock() + ANSWER_TIMEOUT
        while not done() and self._clock() < deadline:
            self._pump()
        return done()

    def _shut(self) -> None:
        if not self._lost:
            try:
                self._driver.stop()
            except CanBusLost as error:
                log.warning("while closing: %s", error)
            else:
                self._dismiss()
        self._lost = True
        self._wire.close()

    def _guard(self) -> None:
        """Start a guardian unless one runs; the driver's thread does not wait for its start."""
        config = self._config
        # A virtual bus exists within one process.
        if self._guardian is not None or config.interface == "virtual":
            return
        guardian = Guardian(LET_GO, f"{config.interface}:{config.channel}", str(config.device))
        try:
            guardian.await_ready()
        except StationFault:
            guardian.dismiss()
            raise
        with self._guarding:
            self._guardian = guardian

    def _dismiss(self) -> None:
        with self._guarding:
            if self._guardian is not None:
                self._guardian.dismiss()
                self._guardian = None

    def _beat(self) -> None:
        """Send a heartbeat to the guardian; restart the hand if the guardian has released it."""
        with self._guarding:
            if self._guardian is None or not self._guardian.beat():
                return
        with self._lock:
            self._stood_still = self._now()
            self.counts["let_go_by_guardian"] += 1
            self._driver.start(self._stood_still)
        log.warning(STANDSTILL)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._lost:
                    self._reopen()
                else:
                    self._beat()
                    self._pump()
            except StationFault as error:
                self._lose(error)
            with self._moved:
                self._moved.notify_all()

    def _lose(self, error: StationFault) -> None:
        """Record the failure of the bus; log it once, however often reopening fails."""
        with self._lock:
            self._lost, self._driver.engaged = True, False
            failure, self._failure = self._failure, f"{error}; it is opened again when it is back"
        if not failure:
            self.counts["bus_failures"] += 1
            log.error("%s; trying again every %s s", error, REOPEN_EVERY)

    def _reopen(self) -> None:
        if self._stop.wait(REOPEN_EVERY):
            return
        self._wire.reopen()
        with self._lock:
            self._wire.flush()
            self._driver.start(self._now())
            self._lost, self._failure = False, ""
        log.warning("the CAN bus %s is back", self._wire.name)

    def _wait_for(self, done: Callable[[], bool], timeout: float) -> bool:
        with self._moved:
            return self._moved.wait_for(done, timeout)


def check_identity(
    info: HandInfo | None, serial: Serial, config: AllegroConfig, where: str
) -> None:
    """Check side and version of a hand against its configuration.

    Raises:
        StationFault: side or version differ.
        StationTimeout: the side is unknown, because the hand did not send its information.
    """
    is_v5 = serial.is_v5
    if is_v5 != (config.version == "v5"):
        raise StationFault(
            f"the hand {where} has the serial {serial.text!r}, which is "
            f"{'that of a v5' if is_v5 else 'not that of a v5'} hand; the station file says "
            f"{config.version}: correct `version`"
        )
    if not is_v5 and info is None:
        raise StationTimeout(
            f"the hand {where} sends its serial number {serial.text!r}, but not its information: "
            "its side is unknown; switch it off and on"
        )
    side = serial.side
    if info is not None and not is_v5:
        side = SIDES[info.side] if info.side < len(SIDES) else f"unknown ({info.side})"
    if side != config.side:
        raise StationFault(
            f"the hand {where} is a {side} hand, the station file says {config.side}: "
            f"correct `side`, or connect the other hand"
        )


def _joint_state(newest: Measurement) -> JointState:
    rows = (value[None].copy() for value in (newest.q, newest.qd, newest.effort))
    return JointState(np.array([newest.stamp]), *rows)


def _nothing_of_the_fixture() -> JointState:
    return JointState(np.zeros(1), *(np.full((1, 1), np.nan) for _ in range(3)))


def make_backend(
    hand: str, fixture: str, station: str | Path = "", port: str = ""
) -> AllegroBackend:
    """Open the Allegro hand of a station file; stamps are the time of day.

    Args:
        hand: name of the task's hand.
        fixture: name of the fixture, which another backend serves.
        station: path of the station file; empty: handlab's own for this hand.
        port: `interface:channel` of the CAN bus, or a channel alone; it replaces the station
            file's bus. Empty: use the file's.

    Raises:
        BadConfig: the file is not for an Allegro hand, or a value is out of bounds.
        StationFault, StationTimeout: see AllegroBackend.
    """
    path = Path(station or station_path(HAND))
    facts = load_station(path)
    FIXTURES.make(fixture)
    if hand != HAND or facts.hand != HAND or facts.allegro is None:
        raise BadConfig(
            f"{path} must say `hand: {HAND}` and have a section `allegro`, and the task must be "
            f"one for that hand; the task's is {hand}"
        )
    config = AllegroConfig.from_dict(facts.allegro)
    if port:
        interface, _, channel = port.rpartition(":")
        config = replace(config, interface=interface or config.interface, channel=channel)
    no_fixture = fixture == BARE and facts.dynamixel is None
    return AllegroBackend(make_hand(hand), config, time_of_day(), no_fixture)
