"""Limits of a bag: records, sizes, and bytes unpacked from compressed data.

A bag may come from anywhere, so every loop and every buffer has a limit:

| limit         | bounds                                                               |
|---------------|----------------------------------------------------------------------|
| MAX_RECORD    | one record, chunk or message, before and after it is unpacked        |
| MAX_UNPACKED  | all bytes that come out of compressed data                           |
| MAX_RATIO     | unpacked bytes for each stored byte, above RATIO_FREE unpacked bytes |
| MAX_RECORDS   | records of all files together                                        |
| MAX_DEFINITION| the text of one message definition                                   |
"""

from pathlib import Path

from handlab_core.errors import BadDemonstrations

MIB = 1 << 20
MAX_RECORD = 64 * MIB
"""Bytes; largest record. rosbag2 writes chunks of 0.75 MiB; messages of a graph have kilobytes."""
MAX_UNPACKED = 1024 * MIB
"""Bytes; unpacked size of a bag. Two hours of a hand's graph at 100 Hz take as much."""
MAX_RATIO, RATIO_FREE = 100, 16 * MIB
"""Unpacked bytes per stored byte, and bytes free of this limit; joint states have 3 to 10."""
MAX_RECORDS = 5_000_000
"""Records; ninety minutes of a hand's graph at 100 Hz."""
MAX_DEFINITION = 64 * 1024
"""Characters; our definitions have up to 2000, with the nested ones."""

CONVERT = (
    "Keep the topics of the demonstrations only, uncompressed: ros2 bag convert with `topics` and "
    "without `compression_mode`"
)


class Budget:
    """Counts records and unpacked bytes of a bag against the limits."""

    def __init__(self, path: Path, stored: int) -> None:
        self._path, self._stored = path, stored
        self._unpacked = self._records = 0

    def unpack(self, count: int) -> None:
        """Count bytes that came out of compressed data."""
        self._unpacked += count
        ratio = self._unpacked / max(1, self._stored)
        if self._unpacked > MAX_UNPACKED or (self._unpacked > RATIO_FREE and ratio > MAX_RATIO):
            raise BadDemonstrations(
                f"{self._path} is refused: its {self._stored} bytes unpack to more than "
                f"{self._unpacked}; a bag may unpack to {MAX_UNPACKED // MIB} MiB and to "
                f"{MAX_RATIO} times its size. {CONVERT}"
            )

    def record(self) -> None:
        """Count one record."""
        self._records += 1
        if self._records > MAX_RECORDS:
            raise BadDemonstrations(
                f"{self._path} is refused: it has more than {MAX_RECORDS} records. {CONVERT}"
            )

    def check_size(self, size: int, thing: str) -> None:
        """Refuse a record, chunk or message that is too large."""
        if size > MAX_RECORD:
            raise BadDemonstrations(
                f"{self._path} is refused: a {thing} of it has {size} bytes, and "
                f"{MAX_RECORD // MIB} MiB are allowed. {CONVERT}"
            )
