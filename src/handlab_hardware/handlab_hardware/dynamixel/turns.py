"""Turn recovery: find the turn of a servo, whose encoder measures the angle within one turn only.

A servo counts turns while it has power. After power-on, a reboot or a brown-out it starts again
within one turn; in position mode also when its torque goes on (e-manual, Present Position). Its
position is therefore known up to whole turns, and the commanded range of the joint decides:

| range            | chosen turn                               | unknown if               |
|------------------|-------------------------------------------|--------------------------|
| below one turn   | nearest to the range                      | beyond `TurnRange.margin`|
| one turn or more | at opening: as read, or nearest to range  |                          |
|                  | after a restart: nearest to the last one  | beyond FAR, after BLIND  |

A joint whose turn is unknown is not engaged, and its reading is not published.

All positions are counts of the servo.
"""

from dataclasses import dataclass

from handlab_hardware.dynamixel.protocol.registers import TICKS_PER_TURN

FAR = TICKS_PER_TURN // 4
"""counts; largest distance from the range at which the turn is certain; chosen.

Mechanical ranges exceed commanded ranges, on the claw by 50 degrees."""

DOUBT = TICKS_PER_TURN // 36
"""counts, 10 degrees; distance from the middle between two turns at which both are equally likely;
chosen for play and an inexact zero."""

BLIND = 2.0
"""s; time after which the turn of a joint with many turns is lost; chosen.

A brown-out with the start of all servos takes about one second. A released object makes no full
turn in two seconds."""


@dataclass(frozen=True, slots=True)
class TurnRange:
    """Commanded range of one joint, counts."""

    lower: int
    upper: int

    @property
    def many(self) -> bool:
        """Return whether the range is one turn wide or more."""
        return self.upper - self.lower >= TICKS_PER_TURN

    @property
    def margin(self) -> int:
        """Return the largest distance from the range at which the turn is certain; counts."""
        free = TICKS_PER_TURN - (self.upper - self.lower)
        return max(0, min(FAR, free // 2 - DOUBT))

    def beyond(self, ticks: int) -> int:
        """Return the distance of a position from the range; counts, 0 within the range."""
        return max(self.lower - ticks, ticks - self.upper, 0)

    def nearest(self, ticks: int) -> int:
        """Return the offset, whole turns in counts, that brings a position nearest to the range.

        A position within the range needs no offset.
        """
        if not self.beyond(ticks):
            return 0
        if self.many:
            edge = self.lower if ticks < self.lower else self.upper - TICKS_PER_TURN + 1
            return -((ticks - edge) // TICKS_PER_TURN) * TICKS_PER_TURN
        middle = (self.lower + self.upper) / 2
        return -round((ticks - middle) / TICKS_PER_TURN) * TICKS_PER_TURN

    def fits(self, ticks: int) -> bool:
        """Return whether the turn of a joint at a position is certain."""
        return self.beyond(ticks) <= self.margin


def continued(ticks: int, last: int) -> int:
    """Return the offset, whole turns in counts, that brings `ticks` nearest to `last`."""
    return round((last - ticks) / TICKS_PER_TURN) * TICKS_PER_TURN
