"""Lockstep: a simulation advances when every engaged group has its command for the present time."""

from handlab_core.types import Command

HAND, FIXTURE, GUIDE = "hand", "fixture", "guide"

PACES = ("lockstep", "real")
"""Time advances with the commands, or with the clock."""


class Lockstep:
    """Collects the commands of one control period.

    The hand is engaged from the start, the fixture only during a reset. A group that is not engaged
    needs no command. The guide of a released hand is a third group during a demonstration.
    """

    def __init__(self) -> None:
        self._engaged = {HAND: True, FIXTURE: False, GUIDE: False}
        self._commands: dict[str, Command] = {}
        self.stale = 0
        """Number of commands for another time, for a group that is not engaged, or repeated; they
        are not applied."""

    def engage(self, group: str, engaged: bool) -> None:
        """Turn a group's torque on or off and discard its waiting command."""
        self._engaged[group] = engaged
        self._commands.pop(group, None)

    def offer(self, group: str, command: Command, stamp: float, now: float) -> bool:
        """Add a command for the time `stamp` [s]; return whether the simulation may advance."""
        if stamp != now or group in self._commands or not self._engaged[group]:
            self.stale += 1
            return False
        self._commands[group] = command
        return all(group in self._commands for group, on in self._engaged.items() if on)

    def take(self) -> tuple[Command | None, Command | None, Command | None]:
        """Return the commands of hand, fixture and guide, and begin the next period."""
        commands = self._commands
        self._commands = {}
        return commands.get(HAND), commands.get(FIXTURE), commands.get(GUIDE)
