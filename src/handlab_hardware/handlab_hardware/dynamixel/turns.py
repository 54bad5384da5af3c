"""Find the turn that a servo stands on: its encoder measures the angle within one turn.

A servo counts turns while it has power, and begins again within one turn after power-on, a reboot
or a brown-out, and in position mode when its torque goes on (e-manual, Present Position). What
it reads is therefore known up to whole turns, and the joint's commanded range decides:

| range            | the turn taken                            | unknown if               |
|------------------|-------------------------------------------|--------------------------|
| below one turn   | the one nearest to the range              | beyond `TurnRange.margin`|
| one turn or more | at opening: as read, or nearest to range  |                          |
|                  | after a restart: nearest to the last seen | beyond FAR, after BLIND  |

A joint whose turn is unknown is not engaged, and what it reads is not published.

All positions are counts of the servo.
"""

from dataclasses import dataclass

from handlab_hardware.dynamixel.registers import TICKS_PER_TURN

FAR = TICKS_PER_TURN // 4
"""A joint this far beyond its range stands on its turn for sure. Chosen: mechanical ranges are
wider than commanded ones, on the claw by 50 degrees."""

DOUBT = TICKS_PER_TURN // 36
"""Nearer than this to the middle between two turns of the range, both are as likely: 10 degrees,
for play and an inexact zero."""

BLIND = 2.0
"""s, after which the turn of a joint that turns more than once is not known any more: a brown-out
and the start of all servos after it take about one, and an object that is let go makes no turn in
two. Chosen."""


@dataclass(frozen=True, slots=True)
class TurnRange:
    """Commanded range of one joint, in counts."""

    lower: int
    upper: int

    @property
    def many(self) -> bool:
        """Return whether the range is one turn wide or more."""
        return self.upper - self.lower >= TICKS_PER_TURN

    @property
    def margin(self) -> int:
        """Return how far beyond the range a joint may stand; counts."""
        free = TICKS_PER_TURN - (self.upper - self.lower)
        return max(0, min(FAR, free // 2 - DOUBT))

    def beyond(self, ticks: int) -> int:
        """Return how far a position is outside of the range; counts, 0 within."""
        return max(self.lower - ticks, ticks - self.upper, 0)

    def nearest(self, ticks: int) -> int:
        """Return the offset, a whole number of turns, that brings a position nearest to the range.

        A position within a range of many turns stays.
        """
        if not self.beyond(ticks):
            return 0
        if self.many:
            edge = self.lower if ticks < self.lower else self.upper - TICKS_PER_TURN + 1
            return -((ticks - edge) // TICKS_PER_TURN) * TICKS_PER_TURN
        middle = (self.lower + self.upper) / 2
        return -round((ticks - middle) / TICKS_PER_TURN) * TICKS_PER_TURN

    def fits(self, ticks: int) -> bool:
        """Return whether a joint may stand at a position."""
        return self.beyond(ticks) <= self.margin


def continued(ticks: int, last: int) -> int:
    """Return the offset, a whole number of turns, that brings `ticks` nearest to `last`."""
    return round((last - ticks) / TICKS_PER_TURN) * TICKS_PER_TURN
