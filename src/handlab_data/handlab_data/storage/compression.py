"""Compressed data of a bag, unpacked within its limits."""

from typing import IO

import zstandard

from handlab_data.storage.limits import MAX_RECORD, Budget
from handlab_data.storage.topic import DamagedFile

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
"""First bytes of a compressed file, and of a compressed message, since CDR begins with 0."""
WINDOW = 1 << 27
"""Bytes; largest accepted window of a zstd frame, zstd's own default."""
PIECE = 1 << 20
"""Bytes read at a time where data is skipped or copied."""


class Unpacking:
    """A zstd stream as a file that can be read forwards, within the budget."""

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW)
        self._stream = unpacker.stream_reader(file, read_across_frames=True, closefd=False)
        self._budget, self._ahead = budget, b""

    def peek(self, size: int) -> bytes:
        """Return the next bytes without taking them."""
        self._ahead = self.read(size)
        return self._ahead

    def read(self, size: int) -> bytes:
        """Return the next bytes; fewer at the end."""
        found = [self._ahead[:size]]
        self._ahead, left = self._ahead[size:], size - len(found[0])
        while left > 0:
            try:
                piece = self._stream.read(min(left, PIECE))
            except zstandard.ZstdError as error:
                raise DamagedFile(f"its zstd data is broken: {error}") from error
            if not piece:
                break
            self._budget.unpack(len(piece))
            found.append(piece)
            left -= len(piece)
        return b"".join(found)

    def read_record(self) -> bytes:
        """Return the whole stream; refuse more than MAX_RECORD bytes."""
        data = self.read(MAX_RECORD + 1)
        self._budget.check_size(len(data), "compressed message")
        return data
