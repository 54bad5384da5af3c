"""What happens to a hand whose commands stop coming, in real pace.

| age of the newest command          | what is sent                          |
|------------------------------------|---------------------------------------|
| up to safety.COMMAND_TIMEOUT       | the command                           |
| up to safety.RELEASE_TIMEOUT       | hold: the position when it grew old   |
| more, or no command since `engage` | release: no effort                    |

A hand whose torque is off gets the release, a fixture whose torque is off gets nothing.
"""

from handlab_core import safety
from handlab_core.fixtures import Fixture
from handlab_core.hands import Hand
from handlab_core.lockstep import FIXTURE, HAND
from handlab_core.types import Array, Command, Reading


class Watchdog:
    """Keeps the newest command of each group and judges its age; time is an argument."""

    def __init__(self, hand: Hand, fixture: Fixture) -> None:
        self._limits = {
            HAND: safety.Limits.of_hand(hand),
            FIXTURE: safety.Limits.of_fixture(fixture),
        }
        self._engaged = {HAND: True, FIXTURE: False}
        self._newest: dict[str, tuple[Command, float]] = {}
        self._held: dict[str, Command] = {}

    def feed(self, group: str, command: Command, now: float) -> None:
        """Take a command that came at the time `now` [s]."""
        self._newest[group] = (command, now)
        self._held.pop(group, None)

    def engage(self, group: str, engaged: bool) -> None:
        """Turn a group's torque on or off; either way old commands are forgotten."""
        self._engaged[group] = engaged
        self._newest.pop(group, None)
        self._held.pop(group, None)

    def commands(self, reading: Reading, now: float) -> tuple[Command, Command | None]:
        """What to send now to hand and fixture; None leaves the fixture passive."""
        hand = self._command(HAND, reading.hand.q, now)
        if not self._engaged[FIXTURE]:
            return hand, None
        return hand, self._command(FIXTURE, reading.fixture.q, now)

    def _command(self, group: str, q: Array, now: float) -> Command:
        if not self._engaged[group] or group not in self._newest:
            return safety.release(q)
        command, came = self._newest[group]
        age = now - came
        if age <= safety.COMMAND_TIMEOUT:
            return command
        if age <= safety.RELEASE_TIMEOUT:
            return self._held.setdefault(group, safety.hold(q, self._limits[group]))
        return safety.release(q)
