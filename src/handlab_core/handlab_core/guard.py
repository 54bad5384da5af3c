"""A backend behind the clamp: nothing reaches a wire but through here."""

import numpy as np

from handlab_core import rows, safety
from handlab_core.backend import Backend, Guidable
from handlab_core.errors import StationFault
from handlab_core.fixtures import Fixture
from handlab_core.hands import Hand
from handlab_core.types import Array, Command, IntArray, Reading


class GuardedBackend:
    """Clamp every command, remember what was sent, count what had to be changed.

    Implements `handlab_core.backend.Backend` around another one.
    """

    def __init__(self, hand: Hand, fixture: Fixture, backend: Backend) -> None:
        self.worlds, self._backend = backend.worlds, backend
        self._hand, self._fixture = hand, fixture
        self._limits = safety.Limits.of_hand(hand), safety.Limits.of_fixture(fixture)
        self.dropped = self.clamped = 0
        """Joint targets that were not finite, and that were moved into the limits, so far."""
        self._loose = np.zeros(hand.n, dtype=bool), np.zeros(1, dtype=bool)
        self._reading: Reading
        self._sent: list[Command]
        self._restart(backend.read())

    def reset(self, worlds: IntArray | None = None, object_angle: float | Array = 0.0) -> Reading:
        """See `Backend.reset`."""
        self._restart(self._backend.reset(worlds, object_angle))
        return self._reading

    def step(
        self,
        hand: Command,
        fixture: Command | None,
        period: float,
        worlds: IntArray | None = None,
    ) -> Reading:
        """See `Backend.step`; `sent` tells what became of the commands."""
        some = None if worlds is None or len(worlds) == self.worlds else worlds
        hand = self._clamp(0, hand, self._reading.hand.q, period, some)
        if fixture is None:
            self._sent[1] = safety.release(self._reading.fixture.q)
        else:
            fixture = self._clamp(1, fixture, self._reading.fixture.q, period, some)
        reading = self._backend.step(hand, fixture, period, some)
        self._reading = reading if some is None else rows.put(self._reading, some, reading)
        return reading

    def read(self) -> Reading:
        """Return the newest reading of all robots."""
        return self._reading

    def guide(self, guide: Command) -> None:
        """Lead the hand from outside: springs at `q` of the stiffness [N m/rad] in `effort`.

        Raises:
            StationFault: only people lead real hands.
        """
        if not isinstance(self._backend, Guidable):
            raise StationFault("only a simulated hand is led from outside; lead this one by hand")
        known = np.isfinite(guide.q) & np.isfinite(guide.effort)
        self._backend.guide(np.where(known, guide.q, 0.0), np.where(known, guide.effort, 0.0))

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()

    @property
    def sent(self) -> tuple[Command, Command]:
        """The commands for hand and fixture as they went to the wire."""
        return self._sent[0], self._sent[1]

    def loosen(self, joint: str, loose: bool) -> None:
        """Let one joint go, whatever is commanded, or obey commands again; UnknownName if none."""
        if joint == self._fixture.joint:
            self._loose[1][0] = loose
        else:
            self._loose[0][self._hand.index(joint)] = loose

    def _restart(self, reading: Reading) -> None:
        self._reading = reading
        self._sent = [safety.release(reading.hand.q), safety.release(reading.fixture.q)]

    def _clamp(
        self, group: int, command: Command, q: Array, period: float, worlds: IntArray | None
    ) -> Command:
        previous = self._sent[group]
        if self._loose[group].any():
            command = Command(command.q, np.where(self._loose[group], 0.0, command.effort))
        if worlds is not None:
            previous, q = rows.take(previous, worlds), q[worlds]
        sent = safety.clamp(command, previous, q, self._limits[group], period)
        self.dropped += sent.dropped
        self.clamped += sent.clamped
        whole = sent.command
        if worlds is not None:
            whole = rows.put(self._sent[group], worlds, whole)
        self._sent[group] = whole
        return sent.command
