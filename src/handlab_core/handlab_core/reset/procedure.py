"""Reset procedures by name: how object and hand come to the start of an episode.

A reset is one file of this package. The file registers a builder; a task names it (`Task.reset`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from handlab_core.hands import Hand
from handlab_core.objects.fixture import Fixture
from handlab_core.system.registry import Registry
from handlab_core.types import Command, Reading

DONE, FAILED = "done", "failed"
"""The two last stages of every procedure."""


@dataclass(frozen=True, slots=True)
class ResetTick:
    """Commands of one control period, and the state of the procedure."""

    hand: Command  # (1, n)
    fixture: Command  # (1, 1)
    stage: str
    attempt: int
    object_error: float  # rad
    hand_error: float  # rad; the largest of all joints

    @property
    def ended(self) -> bool:
        """Whether the procedure sends no further command."""
        return self.stage in (DONE, FAILED)


class ResetProcedure(Protocol):
    """One reset of one robot, advanced by `tick`."""

    attempt: int
    elapsed: float  # s since the first tick
    failed_joints: tuple[str, ...]
    """Joints that did not arrive in the newest failed attempt."""

    def tick(self, reading: Reading, period: float) -> ResetTick:
        """Return the commands of the next control period.

        Args:
            reading: of one robot, one row.
            period: s.
        """
        ...


BuildReset = Callable[[Hand, Fixture, float], ResetProcedure]
"""Builds a procedure from hand, fixture and the object's angle at the start of the episode [rad];
raises BadConfig if the fixture cannot bring the object there."""

RESETS: Registry[BuildReset] = Registry("reset")

MOTOR = "motor"
"""Name of the default reset."""
CLEARING = "clearing"
"""Name of the reset of soft hands."""
