"""Exact replay of recorded episodes: the simulation goes the same way again, to the last bit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handlab_core.errors import BadDemonstrations
from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.types import NS_PER_S, Array, Command, Reading
from handlab_data.flight_record import RecordedEpisode, read_flight_record
from handlab_sim.backend import MujocoBackend


@dataclass(frozen=True)
class ExactReplay:
    """Comparison of one episode with its replay."""

    episode: int
    success: bool
    """Whether the recorded episode succeeded."""
    steps: int
    numbers: int
    """Number of recorded numbers that were compared."""
    different: int
    """Number of them that differ in any bit."""
    first: int | None
    """First step that differs; None: the replay is exact."""


def replay_exactly(path: Path, numbers: Sequence[int] = ()) -> list[ExactReplay]:
    """Repeat episodes of a bag in a new simulation, from their recorded states and commands.

    Args:
        path: the bag.
        numbers: of the episodes; empty: all whole ones.

    Raises:
        BadDemonstrations: the bag holds no such episode.
    """
    record = read_flight_record(path)
    known = {episode.number for episode in record.episodes}
    if missing := sorted(set(numbers) - known):
        raise BadDemonstrations(
            f"{path} has no whole episode {', '.join(map(str, missing))}; there is: "
            f"{', '.join(map(str, sorted(known)))}"
        )
    backend = MujocoBackend(make_hand(record.hand), FIXTURES.make(record.fixture))
    return [
        _replay(backend, episode, path)
        for episode in record.episodes
        if not numbers or episode.number in numbers
    ]


def _replay(backend: MujocoBackend, episode: RecordedEpisode, path: Path) -> ExactReplay:
    begin = episode.begin
    try:
        backend.restore(episode.state[None], begin / NS_PER_S)
    except ValueError as error:
        raise BadDemonstrations(f"{path}: episode {episode.number}: {error}") from None
    different = count = 0
    first = None
    for step, stamp in enumerate(episode.stamps):
        q, effort = episode.commands[step, :, 0], episode.commands[step, :, 1]
        period = round(stamp - begin) / NS_PER_S
        reading = backend.step(Command(q[None], effort[None]), None, period)
        begin = stamp
        wanted = np.concatenate([episode.hand[step].T.ravel(), episode.fixture[step].T.ravel()])
        made = _numbers(reading)
        wrong = int(np.count_nonzero(made.view(np.uint64) != wanted.view(np.uint64)))
        different, count = different + wrong, count + len(made)
        first = step if wrong and first is None else first
    return ExactReplay(
        episode.number, episode.success, len(episode.stamps), count, different, first
    )


def _numbers(reading: Reading) -> Array:
    groups = (reading.hand, reading.fixture)
    return np.concatenate(
        [part[0] for group in groups for part in (group.q, group.qd, group.effort)]
    )
