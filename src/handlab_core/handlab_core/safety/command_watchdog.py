"""Command watchdog: hold, then release a hand whose commands stop, in real pace.

| age of the newest command          | command that is sent                  |
|------------------------------------|---------------------------------------|
| up to limits.COMMAND_TIMEOUT       | the command                           |
| up to limits.RELEASE_TIMEOUT       | hold: the position when it grew old   |
| more, or no command since `engage` | release: no effort                    |

A hand whose torque is off is released; a fixture whose torque is off gets no command.

Two kinds of senders command a hand: nodes of this graph, which limit the effort of each joint, and
controllers of ros2_control, which send positions only and repeat the last one forever. A command of
a node takes precedence over controllers for limits.COMMAND_TIMEOUT, or until the torque is turned
on or off. `Command.effort` distinguishes them: it is infinite in commands of controllers.
"""

import numpy as np

from handlab_core.hands import Hand
from handlab_core.hardware.lockstep import FIXTURE, HAND
from handlab_core.objects.fixture import Fixture
from handlab_core.safety import limits
from handlab_core.types import Array, Command, Reading


class Watchdog:
    """Keeps the newest command of each group and checks its age; time is an argument."""

    def __init__(self, hand: Hand, fixture: Fixture) -> None:
        self._limits = {
            HAND: limits.Limits.of_hand(hand),
            FIXTURE: limits.Limits.of_fixture(fixture),
        }
        self._engaged = {HAND: True, FIXTURE: False}
        self._newest: dict[str, tuple[Command, float]] = {}
        self._held: dict[str, Command] = {}
        self._claimed: dict[str, float] = {}  # s; time of the newest command of a node
        self.overruled = 0
        """Number of commands of controllers that a node's command overruled."""

    def feed(self, group: str, command: Command, now: float) -> None:
        """Add a command that arrived at the time `now` [s]."""
        if not _positions_only(command):
            self._claimed[group] = now
        elif now - self._claimed.get(group, -np.inf) <= limits.COMMAND_TIMEOUT:
            self.overruled += 1
            return
        self._newest[group] = (command, now)
        self._held.pop(group, None)

    def engage(self, group: str, engaged: bool) -> None:
        """Turn a group's torque on or off and discard old commands."""
        self._engaged[group] = engaged
        self._newest.pop(group, None)
        self._held.pop(group, None)
        self._claimed.pop(group, None)

    def newest(self, group: str, now: float) -> Command | None:
        """Return the command of a group that is still followed or held at the time `now` [s]."""
        if not self._engaged[group] or group not in self._newest:
            return None
        command, came = self._newest[group]
        return command if now - came <= limits.RELEASE_TIMEOUT else None

    def silence(self, now: float) -> float:
        """Return the time since controllers stopped commanding the hand; s, 0 while they command.

        Nodes may be silent between episodes. A controller is silent only if it died, or if its
        plugin publishes changes only.
        """
        if not self._engaged[HAND] or HAND not in self._newest:
            return 0.0
        command, came = self._newest[HAND]
        age = now - came
        return age if _positions_only(command) and age > limits.COMMAND_TIMEOUT else 0.0

    def resting(self, now: float) -> bool:
        """Return whether all groups are released and no command is recent enough to be followed."""
        return all(now - came > limits.RELEASE_TIMEOUT for _, came in self._newest.values())

    def commands(self, reading: Reading, now: float) -> tuple[Command, Command | None]:
        """Return the commands for hand and fixture; None leaves the fixture passive."""
        hand = self._command(HAND, reading.hand.q, now)
        if not self._engaged[FIXTURE]:
            return hand, None
        return hand, self._command(FIXTURE, reading.fixture.q, now)

    def _command(self, group: str, q: Array, now: float) -> Command:
        if not self._engaged[group] or group not in self._newest:
            return limits.release(q)
        command, came = self._newest[group]
        age = now - came
        if age <= limits.COMMAND_TIMEOUT:
            return command
        if age <= limits.RELEASE_TIMEOUT:
            return self._held.setdefault(group, limits.hold(q, self._limits[group]))
        return limits.release(q)


def _positions_only(command: Command) -> bool:
    return bool(np.isposinf(command.effort).all())
