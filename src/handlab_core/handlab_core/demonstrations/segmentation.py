"""When a demonstration begins and ends: seen from the hand's motion, or told by a person.

| stage   | until                                                                            |
|---------|----------------------------------------------------------------------------------|
| waiting | the hand moves, after it was still; or BEGIN is told                             |
| guiding | the hand is still for `rest`, or END is told, or it takes longer than `longest`  |
| ended   |                                                                                  |

`at_once` there is nothing to detect: it begins with the first state and takes an episode's time.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

import numpy as np

from handlab_core.tasks import Task
from handlab_core.types import NS_PER_S, Array


class Word(Enum):
    """What a person tells; numbers as in `TellDemonstration.srv`."""

    BEGIN, END, ACCEPT, DROP = range(4)


class Phase(StrEnum):
    """How far a demonstration is."""

    WAITING = "waiting"
    GUIDING = "guiding"
    ENDED = "ended"


@dataclass(frozen=True)
class WatchConfig:
    """What counts as motion; speeds are of the fastest joint."""

    at_once: bool = False
    moving: float = 0.3
    """rad/s. Chosen: an encoder's noise is a tenth of it, a person is faster at once."""
    still: float = 0.1
    """rad/s."""
    settle: float = 0.3
    """s, for which the hand must be still before a motion counts: fingers that were just let go
    sink first."""
    rest: float = 1.5
    """s. Longer than a person stops to grip anew."""
    longest: float = 30.0
    """s; somebody has left."""


class Watch:
    """Follows one demonstration; time is an argument."""

    def __init__(self, task: Task, config: WatchConfig | None = None) -> None:
        self._config = config or WatchConfig()
        self._duration = round(task.steps * task.period * NS_PER_S)
        self.phase = Phase.WAITING
        self.began = self.ended = float("nan")
        """s."""
        self._still_since: float | None = None
        self._before = float("nan")

    def see(self, stamp: float, qd: Array, word: Word | None = None) -> Phase:
        """Look at a state.

        Args:
            stamp: s.
            qd: velocities of the joints, rad/s.
            word: what was told since the last one.
        """
        speed, config = float(np.abs(qd).max()), self._config
        still = 0.0 if self._still_since is None else stamp - self._still_since
        if self.phase is Phase.WAITING:
            moves = still >= config.settle and speed > config.moving
            if config.at_once or word is Word.BEGIN or moves:
                # A motion began with the last state that was before it.
                self.began = self._before if moves and word is None else stamp
                self.phase = Phase.GUIDING
        elif self.phase is Phase.GUIDING and self._over(stamp, still, word):
            self.ended, self.phase = stamp, Phase.ENDED
        if speed > config.still:
            self._still_since = None
        elif self._still_since is None:
            self._still_since = stamp
        self._before = stamp
        return self.phase

    def _over(self, stamp: float, still: float, word: Word | None) -> bool:
        elapsed = round((stamp - self.began) * NS_PER_S)
        if self._config.at_once:
            return elapsed >= self._duration
        told = word is Word.END
        return told or still >= self._config.rest or stamp - self.began >= self._config.longest
