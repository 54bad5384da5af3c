"""When a simulated world may advance: every engaged group has its command for this very time."""

from handlab_core.types import Command

HAND, FIXTURE, GUIDE = "hand", "fixture", "guide"

PACES = ("lockstep", "real")
"""By the commands, or by the clock."""


class Lockstep:
    """Collects the commands of one control period.

    The hand is engaged from the start, the fixture only while the reset holds it; a group that is
    not engaged need not be commanded. The guide, who leads a hand that is let go, is a third group
    while somebody leads.
    """

    def __init__(self) -> None:
        self._engaged = {HAND: True, FIXTURE: False, GUIDE: False}
        self._commands: dict[str, Command] = {}
        self.stale = 0
        """Commands for another time or a group that is not engaged, or that came twice; they are
        not applied."""

    def engage(self, group: str, engaged: bool) -> None:
        """Turn a group's torque on or off; either way its waiting command is forgotten."""
        self._engaged[group] = engaged
        self._commands.pop(group, None)

    def offer(self, group: str, command: Command, stamp: float, now: float) -> bool:
        """Take a command for the time `stamp` [s]; return whether the world may advance."""
        if stamp != now or group in self._commands or not self._engaged[group]:
            self.stale += 1
            return False
        self._commands[group] = command
        return all(group in self._commands for group, on in self._engaged.items() if on)

    def take(self) -> tuple[Command | None, Command | None, Command | None]:
        """The commands for hand and fixture, and the guide's, to be applied for one period."""
        commands = self._commands
        self._commands = {}
        return commands.get(HAND), commands.get(FIXTURE), commands.get(GUIDE)
