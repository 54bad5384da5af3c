"""Stepping of a driver's backend: in lockstep with commands, or in real time.

Lockstep (simulation, for learning): the world advances by one control period exactly when every
engaged group has a command stamped with the world's present time.
Real: a thread steps at the driver's own rate, on a schedule that keeps its phase and skips the
periods that it missed; the newest command holds, and commands that grow old are followed by
`handlab_core.safety.command_watchdog`.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

import numpy as np

from handlab_core.errors import StationFault, StationTimeout
from handlab_core.hands import Hand
from handlab_core.hardware.lockstep import GUIDE, HAND, Lockstep
from handlab_core.objects.fixture import Fixture
from handlab_core.safety import limits
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.safety.command_watchdog import Watchdog
from handlab_core.types import Command, Reading

T = TypeVar("T")
Publish = Callable[[Reading], None]

ANSWER_TIMEOUT = 10.0
"""Seconds; longest wait for a call between two steps. A reboot of a servo takes a second."""

REMEMBERED = 1000
"""Periods whose errors are kept."""


class Pace(Protocol):
    """Interface of a driver to its stepping."""

    @property
    def stale(self) -> int:
        """Number of commands not applied so far: in lockstep, those with another stamp."""
        ...

    def start(self) -> None:
        """Publish the present reading and begin."""
        ...

    def stop(self) -> None:
        """Step no more. Twice is harmless."""
        ...

    def command(self, group: str, command: Command, stamp: float) -> None:
        """Take a command."""
        ...

    def engage(self, group: str, engaged: bool) -> None:
        """Turn a group's torque on or off."""
        ...

    def ask(self, call: Callable[[], T]) -> T:
        """Call between two steps; return the result or raise the exception of the call."""
        ...

    def check(self) -> None:
        """Raise the exception that ended the stepping, if there is one."""
        ...


class LockstepPace:
    """Implements `Pace`: a step is made by the command that completes it."""

    def __init__(self, backend: ClampedBackend, period: float, publish: Publish) -> None:
        self._backend, self._period, self._publish = backend, period, publish
        self._lockstep = Lockstep()

    @property
    def stale(self) -> int:
        """See `Pace.stale`."""
        return self._lockstep.stale

    def start(self) -> None:
        """See `Pace.start`."""
        self._publish(self._backend.read())

    def stop(self) -> None:
        """Do nothing: no thread runs by itself."""

    def command(self, group: str, command: Command, stamp: float) -> None:
        """See `Pace.command`."""
        now = float(self._backend.read().hand.stamp[0])
        if self._lockstep.offer(group, command, stamp, now):
            hand, fixture, guide = self._lockstep.take()
            if hand is None:  # its torque was turned off: only the fixture was waited for
                hand = limits.release(self._backend.read().hand.q)
            if guide is not None:
                self._backend.guide(guide)
            self._publish(self._backend.step(hand, fixture, self._period))

    def engage(self, group: str, engaged: bool) -> None:
        """See `Pace.engage`."""
        self._lockstep.engage(group, engaged)
        if group == GUIDE and not engaged:
            self._backend.guide(limits.release(self._backend.read().hand.q))

    def ask(self, call: Callable[[], T]) -> T:
        """See `Pace.ask`."""
        return call()

    def check(self) -> None:
        """See `Pace.check`; `command` has raised every exception already."""


class RealPace:
    """Implements `Pace` with a thread, the only one that touches the backend.

    Args:
        hand: hand whose limits the watchdog applies.
        fixture: fixture whose limits the watchdog applies.
        backend: backend to step.
        rate: Hz; rate of steps while a command is in force.
        publish: called with each reading, in the thread.
        resting_rate: Hz; rate of steps while the hand is let go and no command comes, which spares
            an idle machine. A command or a call ends the rest within a period.
        simulated: a step advances the world by all periods since the last one. Hardware moves by
            itself, and its goal must never move for more than one period.
    """

    stale = 0

    def __init__(
        self,
        hand: Hand,
        fixture: Fixture,
        backend: ClampedBackend,
        rate: float,
        publish: Publish,
        resting_rate: float,
        simulated: bool,
    ) -> None:
        self._limits = limits.Limits.of_hand(hand)
        self._watchdog, self._lock = Watchdog(hand, fixture), threading.Lock()
        self._backend, self._publish = backend, publish
        self.period = 1.0 / rate
        self._stride = max(1, round(rate / resting_rate))
        self._simulated, self._wake = simulated, threading.Event()
        self._asked: deque[tuple[Callable[[], object], Future[object]]] = deque()
        self._errors: deque[float] = deque(maxlen=REMEMBERED)
        self._failure: Exception | None = None
        self._guided = False
        self._hand, self._own = hand, limits.release(hand.nominal[None])
        """The newest command of the hand that this loop made itself."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="driver loop", daemon=True)

    def start(self) -> None:
        """See `Pace.start`; the hand is held where it is until commands come or grow old."""
        reading = self._backend.read()
        self._publish(reading)
        if np.isfinite(reading.hand.q).all():  # else the hand is another driver's
            self._own = limits.hold(reading.hand.q, self._limits)
            self.command(HAND, self._own, 0.0)
        self._thread.start()

    def stop(self) -> None:
        """See `Pace.stop`."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def command(self, group: str, command: Command, stamp: float) -> None:
        """See `Pace.command`; in real pace the time of arrival counts."""
        if group == GUIDE:
            self._guide(command)
            return
        with self._lock:
            self._watchdog.feed(group, command, time.monotonic())
        self._wake.set()

    def engage(self, group: str, engaged: bool) -> None:
        """See `Pace.engage`."""
        if group == GUIDE:
            self._guided = engaged
            if not engaged:
                self._guide(limits.release(self._backend.read().hand.q))
            return
        with self._lock:
            self._watchdog.engage(group, engaged)
        self._wake.set()

    def jog(self, joint: str, position: float, alone: bool = False) -> float:
        """Move one joint of the hand a step toward a position, while no node commands the hand.

        The hand is held and released as after any other command: a jog needs several steps a
        second.

        Args:
            joint: name.
            position: rad.
            alone: release the other joints; else they hold their positions.

        Returns:
            Target of the joint after the step, rad; it moves by `limits.JOG_STEP` at most.

        Raises:
            UnknownName: the hand has no such joint.
            StationFault: another node commands the hand.
        """
        index, q = self._hand.index(joint), self._backend.read().hand.q
        with self._lock:
            newest = self._watchdog.newest(HAND, time.monotonic())
            if newest is not None and newest is not self._own:
                raise StationFault("another node commands the hand: jog when it rests")
            held = np.zeros(q.shape, dtype=bool)
            if newest is not None:
                held = newest.effort > 0.0
            target = np.where(held, self._own.q, q)
            origin = float(target[0, index])
            step = min(max(position - origin, -limits.JOG_STEP), limits.JOG_STEP)
            lower, upper = self._limits.lower[index], self._limits.upper[index]
            target[0, index] = min(max(origin + step, min(lower, origin)), max(upper, origin))
            effort = np.zeros(q.shape) if alone else limits.hold(q, self._limits).effort.copy()
            effort[0, index] = self._limits.max_effort[index]
            self._own = Command(target, effort)
            self._watchdog.feed(HAND, self._own, time.monotonic())
        self._wake.set()
        return float(target[0, index])

    def _guide(self, guide: Command) -> None:
        if self._guided or not guide.effort.any():
            self._asked.append((lambda: self._backend.guide(guide), Future()))
            self._wake.set()

    def ask(self, call: Callable[[], T]) -> T:
        """See `Pace.ask`; StationTimeout if the thread does not answer."""
        if not self._thread.is_alive():
            return call()
        answer: Future[object] = Future()
        self._asked.append((call, answer))
        self._wake.set()
        try:
            return answer.result(ANSWER_TIMEOUT)  # type: ignore[return-value]
        except TimeoutError:
            raise StationTimeout(
                f"the driver's loop did not answer in {ANSWER_TIMEOUT} s"
            ) from None

    def check(self) -> None:
        """See `Pace.check`."""
        if self._failure is not None:
            raise self._failure

    @property
    def overruled(self) -> int:
        """See `Watchdog.overruled`."""
        return self._watchdog.overruled

    def silence(self) -> float:
        """See `Watchdog.silence`."""
        with self._lock:
            return self._watchdog.silence(time.monotonic())

    def period_errors(self) -> list[float]:
        """Return the errors of the newest periods; s."""
        return list(self._errors)

    def _run(self) -> None:
        due = began = time.monotonic()
        periods = 1  # periods that the next step covers
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                while self._asked:
                    self._answer(*self._asked.popleft())
                with self._lock:
                    commands = self._watchdog.commands(self._backend.read(), began)
                    resting = self._watchdog.resting(began) and not self._guided
                span = periods * self.period if self._simulated else self.period
                self._publish(self._backend.step(*commands, span))
                if resting and self._stride > 1:
                    due, periods = self._rest(due)
                    began = time.monotonic()
                    continue
                due, periods = next_due(due, time.monotonic(), self.period), 1
                time.sleep(max(0.0, due - time.monotonic()))
                now = time.monotonic()
                self._errors.append(now - began - self.period)
                began = now
        except Exception as error:
            self._failure = error

    def _rest(self, due: float) -> tuple[float, int]:
        """Wait for a wake-up, at most until the next step of a rest is due.

        Args:
            due: s; due time of the last step.

        Returns:
            Due time of the next step [s], and the number of periods that it covers.
        """
        end = due + self._stride * self.period
        self._wake.wait(max(0.0, end - time.monotonic()))
        passed = max(1, math.floor((time.monotonic() - due) / self.period))
        due += passed * self.period
        time.sleep(max(0.0, due - time.monotonic()))
        return due, min(passed, self._stride)

    def _answer(self, call: Callable[[], object], answer: "Future[object]") -> None:
        try:
            answer.set_result(call())
        except Exception as error:
            answer.set_exception(error)


def next_due(due: float, now: float, period: float) -> float:
    """Return the due time of the next step [s], a whole number of periods after `due`.

    Missed periods are skipped: a driver that was stopped takes one late step and continues from
    there, instead of a burst of steps.
    """
    skipped = max(0, math.floor((now - due) / period) - 1)
    return due + (1 + skipped) * period


def percentile_ms(errors: list[float], percent: float) -> float:
    """Return a percentile of the absolute values, in ms; NaN without any."""
    return float(np.percentile(np.abs(errors), percent)) * 1e3 if errors else float("nan")
