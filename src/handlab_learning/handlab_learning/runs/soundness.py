"""Leave out episodes that hold a number nothing can be learned from.

One NaN in a reward or an observation would reach the baseline, which adds everything up, and stay
there: no later step of the policy would be accepted.
"""

import logging
from collections.abc import Sequence

import numpy as np

from handlab_core.environment.episode import Episode
from handlab_core.errors import StationFault

LARGEST = 1e6
"""Largest number of an episode. Ours are below 1000; the square of one that is much larger leaves
the range in which the others still count."""

PARTS = ("observations", "actions", "rewards", "reward_terms", "errors", "goal_angle")
"""Arrays of an episode that are learned from; temperatures may be unknown, which is NaN."""

IN_A_ROW = 3
"""Iterations in a row that may leave episodes out: more have a cause that does not go away."""

log = logging.getLogger(__name__)


def defect(episode: Episode, terms: Sequence[str] = ()) -> str:
    """Return what is wrong with an episode's numbers; empty if nothing is.

    Args:
        episode: to look at.
        terms: names of the reward's terms; empty: they have numbers only.
    """
    for part in PARTS:
        array = np.asarray(getattr(episode.trajectory, part))
        wrong = np.argwhere(~(np.abs(array) <= LARGEST))  # NaN, too
        if len(wrong):
            step, *column = (int(i) for i in wrong[0])
            where = _named(part, column[0] if column else None, terms)
            return f"episode {episode.number}, step {step}: {where} is {array[tuple(wrong[0])]:g}"
    return ""


def _named(part: str, column: int | None, terms: Sequence[str]) -> str:
    """Return the name of a number of an episode."""
    if part == "reward_terms" and column is not None:
        return f"the reward's term {terms[column] if column < len(terms) else column}"
    singular = {"observations": "observation", "actions": "action", "rewards": "the reward"}
    name = singular.get(part, part.rstrip("s").replace("_", " "))
    return name if column is None else f"{name} {column}"


class Sieve:
    """Passes on episodes that can be learned from, and stops a run that has too few of them.

    Args:
        terms: names of the reward's terms.
    """

    def __init__(self, terms: Sequence[str] = ()) -> None:
        self._terms, self._in_a_row = terms, 0

    def sift(self, episodes: Sequence[Episode]) -> tuple[list[Episode], list[str]]:
        """Return the episodes that can be learned from, and why each other one cannot.

        Raises:
            StationFault: more than half of the episodes are left out, or some were in IN_A_ROW
                iterations in a row.
        """
        defects = [defect(episode, self._terms) for episode in episodes]
        left_out = [reason for reason in defects if reason]
        for reason in left_out:
            log.warning("left out of learning: %s", reason)
        self._in_a_row = self._in_a_row + 1 if left_out else 0
        if 2 * len(left_out) > len(episodes) or self._in_a_row >= IN_A_ROW:
            raise StationFault(
                f"{left_out[0]}; {len(left_out)} of {len(episodes)} episodes cannot be learned "
                f"from, in {self._in_a_row} iterations in a row: check the sensors and the reward, "
                "then go on with --resume"
            )
        sound = [e for e, reason in zip(episodes, defects, strict=True) if not reason]
        return sound, left_out
