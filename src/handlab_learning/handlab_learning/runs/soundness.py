"""Exclude episodes with non-finite or implausible values from learning.

One NaN in a reward or an observation would enter the baseline and stay there: no later step of the
policy would be accepted.
"""

import logging
from collections.abc import Sequence

import numpy as np

from handlab_core.environment.episode import Episode
from handlab_core.errors import StationFault

LARGEST = 1e6
"""Largest plausible value of an episode. Normal values are below 1000; the square of a much larger
value would hide all others in a sum."""

PARTS = ("observations", "actions", "rewards", "reward_terms", "errors", "goal_angle")
"""Arrays of an episode that learning uses."""

IN_A_ROW = 3
"""Number of iterations in a row with excluded episodes after which a run stops: the cause
persists."""

log = logging.getLogger(__name__)


def defect(episode: Episode, terms: Sequence[str] = ()) -> str:
    """Return the first implausible value of an episode as text; empty if there is none.

    Args:
        episode: the episode.
        terms: names of the reward's terms; empty: the text contains their numbers.
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
    """Return the name of a value of an episode."""
    if part == "reward_terms" and column is not None:
        return f"the reward's term {terms[column] if column < len(terms) else column}"
    singular = {"observations": "observation", "actions": "action", "rewards": "the reward"}
    name = singular.get(part, part.rstrip("s").replace("_", " "))
    return name if column is None else f"{name} {column}"


class Sieve:
    """Separates sound episodes from others, and stops a run with too few sound episodes.

    Args:
        terms: names of the reward's terms.
    """

    def __init__(self, terms: Sequence[str] = ()) -> None:
        self._terms, self._in_a_row = terms, 0

    def sift(self, episodes: Sequence[Episode]) -> tuple[list[Episode], list[str]]:
        """Return the sound episodes, and the fault of each other episode.

        Raises:
            StationFault: more than half of several episodes are excluded, or some in IN_A_ROW
                iterations in a row.
        """
        defects = [defect(episode, self._terms) for episode in episodes]
        left_out = [reason for reason in defects if reason]
        for reason in left_out:
            log.warning("left out of learning: %s", reason)
        self._in_a_row = self._in_a_row + 1 if left_out else 0
        several = len(episodes) > 1
        if (several and 2 * len(left_out) > len(episodes)) or self._in_a_row >= IN_A_ROW:
            raise StationFault(
                f"{left_out[0]}; {len(left_out)} of {len(episodes)} episodes cannot be learned "
                f"from, in {self._in_a_row} iterations in a row: check the sensors and the reward, "
                "then go on with --resume"
            )
        sound = [e for e, reason in zip(episodes, defects, strict=True) if not reason]
        return sound, left_out
