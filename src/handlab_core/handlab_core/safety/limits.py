"""The clamp, the last function before the wire, with the limits that it applies.

The checks are the same on every backend, in this order: finite, range, rate, effort. The result is
sent and recorded without a further change.
"""

from dataclasses import dataclass

import numpy as np

from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture
from handlab_core.types import Array, Command

COMMAND_TIMEOUT = 0.3
"""s; age of a command after which the position is held; three control periods of 0.1 s."""

RELEASE_TIMEOUT = 1.5
"""s; age of a command after which the joints are released. With the period of the last command and
a cycle of the driver the hand is limp two seconds after its commander stopped."""

JOG_STEP = 0.05
"""rad; largest change of a target by one step of a jog, 3 degrees; chosen: a wrong angle that a
person types moves the hand no further than a touch."""

WARM_MARGIN = 15.0
"""K below the motor's temperature limit; threshold for a pause. An XM430, whose limit is 80 degrees
Celsius (e-manual), is warm at 65. At stall a motor heats by a degree in seconds, and it cools in
minutes. Therefore the pause begins well before the servo shuts down."""

HOT_MARGIN = 5.0
"""K below the limit; threshold for a release, 75 degrees Celsius on an XM430. After its own
shutdown a servo needs a reboot, and its thermometer lags behind the winding."""

COOLING_TIMEOUT = 3600.0
"""s; a hand that has not cooled in this time has another fault."""

COOL_MARGIN = 25.0
"""K below the limit; threshold for the end of a pause, 55 degrees Celsius on an XM430. The distance
from WARM_MARGIN makes pauses few and long, instead of many and short."""


@dataclass(frozen=True)
class Limits:
    """Limits of commands to one group of joints; arrays are (n,), in joint order."""

    lower: Array  # rad
    upper: Array  # rad
    max_rate: Array  # rad/s
    max_effort: Array  # N m

    @classmethod
    def of_hand(cls, hand: Hand) -> "Limits":
        """Build the limits of a hand's joints."""
        return cls(hand.lower, hand.upper, hand.max_rate, hand.max_effort)

    @classmethod
    def of_fixture(cls, fixture: Fixture) -> "Limits":
        """Build the limits of a fixture's motor."""
        values = (fixture.lower, fixture.upper, fixture.max_rate, fixture.max_effort)
        return cls(*(np.array([value]) for value in values))


@dataclass(frozen=True, slots=True)
class Sent:
    """A command as sent, and the number of changes that the clamp made."""

    command: Command
    dropped: int  # number of engaged joints whose target was not finite
    clamped: int  # number of joints whose target was moved into the limits


def clamp(
    command: Command, previous: Command, q: Array, limits: Limits, elapsed: float | Array
) -> Sent:
    """Return a command within the limits.

    Args:
        command: (N, n); the command as it was received.
        previous: (N, n); the command that is in force.
        q: (N, n) rad; measured positions. A joint that is passive starts from here, so that it
            does not jump when it is engaged.
        limits: the group's limits.
        elapsed: s; time in which a target may move. A number, or (N, n).

    A joint that starts outside of its range may stay there or come back, at its rate; it is never
    sent further out. An effort above the limit becomes the limit, a negative one zero. For an
    effort that is NaN the previous effort holds. `Sent.clamped` counts targets only.
    """
    reach = limits.max_rate * elapsed
    origin = np.where(previous.effort > 0.0, previous.q, q)
    finite = np.isfinite(command.q)
    wanted = np.where(finite, command.q, origin)
    lower, upper = np.minimum(limits.lower, origin), np.maximum(limits.upper, origin)
    target = _between(_between(wanted, lower, upper), origin - reach, origin + reach)
    effort = allowed_effort(command.effort, previous.effort, limits)
    return Sent(
        Command(target, effort),
        dropped=int(np.count_nonzero(~finite & (effort > 0.0))),
        clamped=int(np.count_nonzero(finite & (target != wanted))),
    )


def allowed_effort(effort: Array, previous: Array, limits: Limits) -> Array:
    """Return efforts within the limits, (N, n) N m; where one is NaN the previous one holds."""
    known = np.where(np.isnan(effort), previous, effort)
    return np.maximum(np.minimum(known, limits.max_effort), 0.0)


def reach_time(age: Array, period: float, resolution: float, limits: Limits) -> Array:
    """Return the time [s] in which a goal on a wire may move, (N, n).

    It is at most one period, however long the goal before it has been in force: a driver that was
    stopped does not make up for lost time. A goal that is rounded to the wire's resolution may
    move by that much more, so as much is left out.

    Args:
        age: (N, n) s; time since the goals in force went out.
        period: s; the control period.
        resolution: rad; of goals on the wire.
        limits: the group's limits.
    """
    return np.maximum(np.minimum(age, period) - resolution / limits.max_rate, 0.0)


def hold(q: Array, limits: Limits) -> Command:
    """Build the command that holds joints at their positions, (N, n)."""
    return Command(q.copy(), np.broadcast_to(limits.max_effort, q.shape))


def release(q: Array) -> Command:
    """Build the command that releases joints, (N, n)."""
    return Command(q, np.zeros(q.shape))


def _between(x: Array, lower: Array, upper: Array) -> Array:
    """Clip without the overhead of np.clip, which dominates at these sizes."""
    return np.minimum(np.maximum(x, lower), upper)
