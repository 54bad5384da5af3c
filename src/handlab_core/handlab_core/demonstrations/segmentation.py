"""Segmentation of demonstrations: begin and end, from the hand's motion or by an operator.

| phase   | ends when                                                                        |
|---------|----------------------------------------------------------------------------------|
| waiting | the hand moves, after it was still; or the operator commands BEGIN               |
| guiding | the hand is still for `rest`, or END is commanded, or after `longest`            |
| ended   |                                                                                  |

With `at_once` nothing is detected: the demonstration begins with the first state and lasts as long
as an episode.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

import numpy as np

from handlab_core.tasks import Task
from handlab_core.types import NS_PER_S, Array


class OperatorCommand(Enum):
    """Commands of the operator; values as in `TellDemonstration.srv`."""

    BEGIN, END, ACCEPT, DROP = range(4)


class Phase(StrEnum):
    """Phase of a demonstration."""

    WAITING = "waiting"
    GUIDING = "guiding"
    ENDED = "ended"


@dataclass(frozen=True)
class SegmenterConfig:
    """Thresholds of motion; speeds are those of the fastest joint."""

    at_once: bool = False
    moving: float = 0.3
    """rad/s; speed of a moving hand. Chosen: ten times the noise of an encoder, and slower than a
    person who begins to guide."""
    still: float = 0.1
    """rad/s; speed of a hand at rest."""
    settle: float = 0.3
    """s; rest that must precede a motion, because released fingers sink first."""
    rest: float = 1.5
    """s; rest that ends a demonstration. Longer than the pause of a person who changes the grip."""
    longest: float = 30.0
    """s; timeout after which the operator counts as absent."""


class DemonstrationSegmenter:
    """Detects begin and end of one demonstration; time is an argument."""

    def __init__(self, task: Task, config: SegmenterConfig | None = None) -> None:
        self._config = config or SegmenterConfig()
        self._duration = round(task.steps * task.period * NS_PER_S)
        self.phase = Phase.WAITING
        self.began = self.ended = float("nan")
        """s; stamps of begin and end, NaN before."""
        self._still_since: float | None = None
        self._before = float("nan")

    def update(self, stamp: float, qd: Array, command: OperatorCommand | None = None) -> Phase:
        """Process one state and return the phase.

        Args:
            stamp: s.
            qd: rad/s; velocities of the joints.
            command: newest command since the state before; None: no command.
        """
        speed, config = float(np.abs(qd).max()), self._config
        still = 0.0 if self._still_since is None else stamp - self._still_since
        if self.phase is Phase.WAITING:
            moves = still >= config.settle and speed > config.moving
            if config.at_once or command is OperatorCommand.BEGIN or moves:
                # A motion began with the last state that was before it.
                self.began = self._before if moves and command is None else stamp
                self.phase = Phase.GUIDING
        elif self.phase is Phase.GUIDING and self._over(stamp, still, command):
            self.ended, self.phase = stamp, Phase.ENDED
        if speed > config.still:
            self._still_since = None
        elif self._still_since is None:
            self._still_since = stamp
        self._before = stamp
        return self.phase

    def _over(self, stamp: float, still: float, command: OperatorCommand | None) -> bool:
        elapsed = round((stamp - self.began) * NS_PER_S)
        if self._config.at_once:
            return elapsed >= self._duration
        if command is OperatorCommand.END or still >= self._config.rest:
            return True
        return stamp - self.began >= self._config.longest
