"""Read the stored messages of a rosbag2 bag: MCAP or sqlite3, split or compressed.

A bag may come from anywhere, so every loop and every buffer has a limit
(`handlab_data.storage.limits`). Damage is not fatal: a file ends where its framing breaks, and a
chunk whose checksum is wrong is left out. `Bag.damage` lists both; the reader of the messages
decides whether the rest is usable.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from handlab_core.errors import BadDemonstrations
from handlab_data.storage.bag_files import files_of
from handlab_data.storage.compression import PIECE, ZSTD_MAGIC, Unpacking
from handlab_data.storage.limits import Budget
from handlab_data.storage.mcap_file import McapFile
from handlab_data.storage.sqlite_file import SQLITE_MAGIC, SqliteFile
from handlab_data.storage.topic import DamagedFile, Topic, reason


@dataclass
class Bag:
    """The files of a bag, in the order in which they were written.

    Args:
        path: folder of the bag, or one file of it.

    Raises:
        BadDemonstrations: there is no such bag, or files are missing; the message has a remedy.
    """

    path: Path
    damage: list[str] = field(default_factory=list)
    """Damage found while messages were read."""

    def __post_init__(self) -> None:
        """Find the files."""
        try:
            self.files, self.described = files_of(self.path)
            stored = sum(file.stat().st_size for file in self.files)
        except (OSError, ValueError) as error:
            raise BadDemonstrations(f"{self.path} cannot be read: {reason(error)}") from error
        self._budget = Budget(self.path, stored)

    def messages(self, wanted: Callable[[str], bool]) -> Iterator[tuple[Topic, bytes]]:
        """Yield the messages of wanted topics, as they lie in the files.

        Args:
            wanted: whether the messages of a topic, given by its name, are needed.

        Raises:
            BadDemonstrations: a file is of another kind, or a limit is exceeded.
        """
        for file in self.files:
            try:
                yield from self._messages(file, wanted)
            except DamagedFile as damage:
                self.damage.append(f"{file.name}: {damage}")
            except OSError as error:
                raise BadDemonstrations(f"{file} cannot be read: {reason(error)}") from error

    def _messages(self, path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[Topic, bytes]]:
        with path.open("rb") as file:
            magic = file.read(len(SQLITE_MAGIC))
            file.seek(0)
            if magic.startswith(ZSTD_MAGIC):
                yield from self._compressed(file, wanted)
            elif magic == SQLITE_MAGIC:
                yield from self._plain(SqliteFile(path, self._budget).messages(wanted))
            else:
                yield from self._plain(self._mcap(file, path, wanted))

    def _compressed(
        self, file: IO[bytes], wanted: Callable[[str], bool]
    ) -> Iterator[tuple[Topic, bytes]]:
        """Unpack a whole file: MCAP as it is read, a database into a scratch file."""
        unpacked: Any = Unpacking(file, self._budget)
        magic = unpacked.peek(len(SQLITE_MAGIC))
        if magic != SQLITE_MAGIC:
            yield from self._plain(self._mcap(unpacked, Path(file.name), wanted))
            return
        with tempfile.NamedTemporaryFile(suffix=".db3") as scratch:
            while piece := unpacked.read(PIECE):
                scratch.write(piece)
            scratch.flush()
            yield from self._plain(SqliteFile(Path(scratch.name), self._budget).messages(wanted))

    def _mcap(
        self, file: Any, path: Path, wanted: Callable[[str], bool]
    ) -> Iterator[tuple[Topic, bytes]]:
        return McapFile(file, path, self._budget, self.damage, self.described).messages(wanted)

    def _plain(self, messages: Iterator[tuple[Topic, bytes]]) -> Iterator[tuple[Topic, bytes]]:
        """Unpack the messages that are compressed one by one."""
        for topic, data in messages:
            if data[:4] == ZSTD_MAGIC:
                with BytesIO(data) as packed:
                    yield topic, Unpacking(packed, self._budget).read_record()
            else:
                yield topic, data
