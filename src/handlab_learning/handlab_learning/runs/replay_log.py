"""Log of the episodes of a run on the disk, for algorithms that learn from all of them.

The log is one file to which records are appended, each flushed to the disk before its episode is
learned from:

    | bytes | content                                                   |
    |-------|-----------------------------------------------------------|
    | 8     | `MARK`                                                    |
    | 8     | size of the body in bytes, little-endian                  |
    | 4     | CRC-32 of the body, little-endian                         |
    | size  | body: the episode's arrays and scalars, safetensors       |

A crash can only truncate the last record. Reading finds the next `MARK` after a damaged record.
"""

import logging
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from handlab_core.environment.episode import Episode, EpisodeKey, Outcome, RobotTime, Trajectory
from handlab_core.errors import BadRun
from handlab_core.system.files import writing
from handlab_core.types import Array

MARK = b"\x89HLEPIS\n"
"""First bytes of a record; the byte 0x89 is part of no text (as in PNG files)."""

HEAD = struct.Struct("<8sQI")

FILE = "episodes.log"

log = logging.getLogger(__name__)


class ReplayLog:
    """Reads and appends the episodes of one run.

    Args:
        folder: folder of the log; made with the first episode.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def append(self, episodes: Sequence[Episode]) -> None:
        """Append episodes and flush them to the disk.

        Raises:
            CannotWrite: the disk, the folder or the user's rights do not allow it; no part of the
                episodes remains.
        """
        records = b"".join(_record(episode) for episode in episodes)
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                before = file.tell()
                try:
                    file.write(records)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(before)
                    raise

    def read(self) -> list[Episode]:
        """Read all whole episodes, and remove what a crash left of another at the end.

        A damaged record is left out, and a warning names it.

        Raises:
            BadRun: the file cannot be read.
            CannotWrite: the rest at the end cannot be removed.
        """
        try:
            data = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise BadRun(f"{self.path} cannot be read: {error.strerror}") from None
        episodes, end = [], 0
        for begin, size, body in _records(data):
            if begin > end:
                self._warn(end, begin)
            episode = _episode(body)
            if episode is None:
                self._warn(begin, begin + size)
            else:
                episodes.append(episode)
            end = begin + size
        if end < len(data):
            log.warning(
                "%s ends with %d bytes of an unfinished episode; they are removed",
                self.path,
                len(data) - end,
            )
            with writing(self.path):
                os.truncate(self.path, end)
        return episodes

    def clear(self) -> None:
        """Remove the log."""
        with writing(self.path):
            self.path.unlink(missing_ok=True)

    def _warn(self, begin: int, end: int) -> None:
        log.warning(
            "%s is damaged from byte %d to %d; that part is left out", self.path, begin, end
        )


def _records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Return position, size and body of each whole record, also after damaged ones."""
    begin = data.find(MARK)
    while begin >= 0 and begin + HEAD.size <= len(data):
        _, size, checksum = HEAD.unpack_from(data, begin)
        body = data[begin + HEAD.size : begin + HEAD.size + size]
        if len(body) == size and zlib.crc32(body) == checksum:
            yield begin, HEAD.size + size, body
            begin = data.find(MARK, begin + HEAD.size + size)
        else:
            begin = data.find(MARK, begin + 1)


_GROUPS = {"key": EpisodeKey, "outcome": Outcome, "time": RobotTime}
"""Groups of scalars of an episode."""


def _record(episode: Episode) -> bytes:
    """Return an episode as a record."""
    named = {name: np.ascontiguousarray(array) for name, array in episode.arrays.items()}
    for group in _GROUPS:
        for name, value in asdict(getattr(episode, group)).items():
            named[f"{group}.{name}"] = np.array([value])
    body = safetensors.save(named)
    return HEAD.pack(MARK, len(body), zlib.crc32(body)) + body


def _episode(body: bytes) -> Episode | None:
    """Return the episode of a record's body; None if it is none."""
    try:
        named: dict[str, Array] = safetensors.load(body)
        groups = {
            group: kind(
                **{field.name: named[f"{group}.{field.name}"][0].item() for field in fields(kind)}
            )
            for group, kind in _GROUPS.items()
        }
        path = Trajectory(**{field.name: named[field.name] for field in fields(Trajectory)})
        interventions = named.get("interventions", np.zeros(0))  # none in logs of earlier versions
        return Episode(
            trajectory=path,
            temperatures=named["temperatures"],
            interventions=interventions,
            **groups,
        )
    except (SafetensorError, KeyError, IndexError, TypeError, ValueError):
        return None
