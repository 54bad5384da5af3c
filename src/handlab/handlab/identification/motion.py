"""Move a hand through an excitation, watch it, and record commands and measurements."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from handlab_core.errors import StationFault
from handlab_core.hands import Hand
from handlab_core.hardware.backend import Backend, Hardware
from handlab_core.objects.fixture import Fixture
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.system.scheduling import realtime_priority
from handlab_core.types import NS_PER_S, Array, Command
from handlab_core.worlds.excitation import RATE, Excitation, Recording, approach

STRAIN, BLOCKED, PATIENCE = 0.8, 0.5, 0.3
"""Fraction of the largest torque, rad from the target, and s; a joint with more of one of them for
longer pushes against something; chosen."""
LOOK_EVERY = 50  # steps between two looks at heat and faults


@dataclass
class Mover:
    """Moves a hand at RATE and keeps the sent and the measured values.

    Args:
        hand: the hand.
        fixture: its fixture.
        backend: the hardware, real or simulated.
        stopped: whether the operator has stopped the hand.
        on_time: called with the seconds of motion done.
    """

    hand: Hand
    fixture: Fixture
    backend: Backend
    stopped: Callable[[], bool] = lambda: False
    on_time: Callable[[float], None] = lambda seconds: None

    def __post_init__(self) -> None:
        """Engage the hand where it stands."""
        self._hardware = self.backend if isinstance(self.backend, Hardware) else None
        self._clamped = ClampedBackend(self.hand, self.fixture, self.backend)
        self._effort = np.broadcast_to(self.hand.max_effort, (1, self.hand.n))
        self._strained = np.zeros(self.hand.n)
        self._next, self._steps = time.monotonic(), 0
        if self._hardware is not None:
            self._hardware.activate()

    def run(self, centre: Array, excitation: Excitation) -> Recording:
        """Go to the centre, follow the excitation, and release the hand; return the recording.

        Real motors are moved with real-time priority: late commands blur the measurement.

        Raises:
            StationFault: a joint is blocked, hot, silent, or has a fault, or the operator has
                stopped the hand; it is released.
        """
        realtime = nullcontext() if self._hardware is None else realtime_priority()
        with realtime:
            return self._run(centre, excitation)

    def _run(self, centre: Array, excitation: Excitation) -> Recording:
        try:
            for target in approach(self._angles(), self.hand.nominal):
                self._step(target)
            for target in approach(self.hand.nominal, centre):
                self._step(target)
            rows = [self._step(target) for target in excitation.targets]
        finally:
            if self._hardware is not None:
                self._hardware.deactivate()
        return _recording(rows)

    def _angles(self) -> Array:
        q = self._clamped.read().hand.q[0]
        inside: Array = np.clip(q, self.hand.lower, self.hand.upper)
        return inside

    def _step(self, target: Array) -> tuple[float, Array, float, Array, Array]:
        """Send one target; return its time, it as sent, and time, angles and torques measured."""
        if self.stopped():
            raise StationFault("the operator has stopped the hand; identify it again")
        if self._hardware is None:
            sent_at = float(self._clamped.read().hand.stamp[0])
        else:
            self._next += 1.0 / RATE
            time.sleep(max(0.0, self._next - time.monotonic()))
            self._next = max(self._next, time.monotonic() - 1.0 / RATE)
            sent_at = time.time_ns() / NS_PER_S
        reading = self._clamped.step(Command(target[None], self._effort), None, 1.0 / RATE)
        sent, state = self._clamped.sent[0], reading.hand
        self._watch(sent.q[0], state.q[0], state.effort[0])
        self._steps += 1
        if self._steps % LOOK_EVERY == 0:
            self._look()
            self.on_time(self._steps / RATE)
        return sent_at, sent.q[0].copy(), float(state.stamp[0]), state.q[0], state.effort[0]

    def _watch(self, target: Array, q: Array, effort: Array) -> None:
        """Raise StationFault if a joint pushes against something."""
        hard = np.nan_to_num(np.abs(effort)) > STRAIN * self.hand.max_effort
        blocked = hard | (np.abs(target - q) > BLOCKED)
        self._strained = np.where(blocked, self._strained + 1.0 / RATE, 0.0)
        if (self._strained > PATIENCE).any():
            joint = self.hand.joints[int(self._strained.argmax())]
            raise StationFault(
                f"{joint} is blocked or cannot follow, and the hand was released: clear the space "
                "around the hand, check the zeros, and identify it again"
            )

    def _look(self) -> None:
        """Raise StationFault if a motor is warm, or has a fault."""
        if self._hardware is None:
            return
        status = self._hardware.motor_status
        if status.hand.pause or status.hand.hot.any():
            raise StationFault("a motor is warm: let the hand cool, and identify it again")
        if status.hand.silent.any() or any(status.hand.hardware_error):
            raise StationFault("; ".join(status.problems) or "a motor of the hand has a fault")


def _recording(rows: list[tuple[float, Array, float, Array, Array]]) -> Recording:
    """Return rows as a recording, without measurements that were read twice."""
    new, last = [], -np.inf
    for row in rows:
        if row[2] > last:
            new.append(row)
            last = row[2]
    sent_at, sent, read_at, q, effort = (list(column) for column in zip(*new, strict=True))
    begin = sent_at[0]
    return Recording(
        np.array(sent_at) - begin, np.array(sent), np.array(read_at) - begin, np.array(q),
        np.array(effort),
    )  # fmt: skip
