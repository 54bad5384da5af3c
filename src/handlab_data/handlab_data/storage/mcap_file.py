"""Messages of an MCAP file; see mcap.dev/spec."""

import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import lz4.frame
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Schema

from handlab_core.errors import BadDemonstrations
from handlab_data.storage.compression import PIECE, Unpacking
from handlab_data.storage.limits import MAX_DEFINITION, MAX_RECORD, Budget
from handlab_data.storage.topic import DamagedFile, Topic, reason

MCAP_MAGIC = b"\x89MCAP0\r\n"
"""First bytes of a file."""
HEAD = struct.Struct("<BQ")
MESSAGE_HEAD = struct.Struct("<HIQQ")
PRIVATE = 0x80
"""First opcode that applications may define; mcap.dev/spec."""
MAX_NOTES = 100
"""Places of damage; limit of the list."""

BAD_RECORD = (McapError, struct.error, ValueError, OverflowError, EOFError)
"""Exceptions of mcap's parsers for contents that do not fit their own lengths."""

NEEDED = {
    *(Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE),
    *(Opcode.CHUNK, Opcode.DATA_END, Opcode.FOOTER),
}
IN_CHUNKS = {Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE}


class McapFile:
    """One MCAP file; see mcap.dev/spec."""

    def __init__(
        self, file: Any, path: Path, budget: Budget, damage: list[str], described: bool
    ) -> None:
        self._file, self._path, self._budget, self._damage = file, path, budget, damage
        self._described = described
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._topics: dict[int, Topic] = {}
        self._position = self._crc = 0
        self._unchecked = False

    def messages(self, wanted: Callable[[str], bool]) -> Iterator[tuple[Topic, bytes]]:
        """Yield topic and data of the wanted messages."""
        magic = self._read(len(MCAP_MAGIC))
        if magic != MCAP_MAGIC:
            kind = "is empty" if not magic else "is neither an MCAP file nor an sqlite3 database"
            raise BadDemonstrations(f"{self._path} {kind}: it is no bag")
        ended = False
        while True:
            before, at = self._crc, self._position
            opcode, content = self._next(keep_all=not ended)
            if opcode == Opcode.FOOTER:
                self._check_footer(content)
                return
            if opcode == Opcode.DATA_END:
                ended = True
                self._check_data(content, before)
            elif ended:
                continue  # the summary repeats earlier records
            elif opcode == Opcode.CHUNK:
                try:
                    yield from self._chunk(content, wanted)
                except DamagedFile as damage:
                    self._note(f"the chunk at byte {at} is left out: {damage}")
            else:
                self._unchecked |= opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE)
                yield from self._record(opcode, content, wanted)

    def _note(self, damage: str) -> None:
        if len(self._damage) < MAX_NOTES:
            self._damage.append(f"{self._path.name}: {damage}")

    def _read(self, size: int) -> bytes:
        data: bytes = self._file.read(size)
        self._position += len(data)
        self._crc = zlib.crc32(data, self._crc)
        return data

    def _next(self, keep_all: bool) -> tuple[int, bytes]:
        """Return the next record of the file; contents that are not needed are skipped."""
        at, head = self._position, self._read(HEAD.size)
        if len(head) < HEAD.size:
            raise DamagedFile(f"it ends at byte {at}, before its end is written")
        opcode, length = HEAD.unpack(head)
        self._budget.record()
        if not opcode:
            raise DamagedFile(f"the record at byte {at} has the opcode 0")
        if opcode not in NEEDED or not (keep_all or opcode == Opcode.FOOTER):
            self._skip(length, at)
            return opcode, b""
        content = self._read(min(length, MAX_RECORD + 1))
        if len(content) < min(length, MAX_RECORD + 1):
            raise DamagedFile(f"it ends within the record at byte {at}")
        self._budget.check_size(length, "record")
        return opcode, content

    def _skip(self, length: int, at: int) -> None:
        left = length
        while left > 0:
            piece = self._read(min(left, PIECE))
            if not piece:
                raise DamagedFile(f"it ends within the record at byte {at}")
            left -= len(piece)

    def _check_footer(self, content: bytes) -> None:
        """Refuse the footer of a killed recorder: no summary, and no metadata.yaml."""
        if not self._described and not any(content[:8]):
            raise DamagedFile("its recorder did not finish it")

    def _check_data(self, content: bytes, crc: int) -> None:
        expected = int.from_bytes(content[:4], "little")
        if expected and expected != crc:
            self._note("its checksum is wrong")
            if self._unchecked:  # the changed record is unknown
                raise BadDemonstrations(
                    f"{self._path} is damaged: the checksum of its data is wrong. Copy it again"
                )

    def _chunk(
        self, content: bytes, wanted: Callable[[str], bool]
    ) -> Iterator[tuple[Topic, bytes]]:
        try:
            chunk = Chunk.read(ReadDataStream(BytesIO(content)))
        except BAD_RECORD as error:
            raise DamagedFile(f"it cannot be parsed ({reason(error)})") from error
        data = self._unpack(chunk)
        if len(data) != chunk.uncompressed_size:
            raise DamagedFile(f"it has {len(data)} bytes instead of {chunk.uncompressed_size}")
        if chunk.uncompressed_crc and chunk.uncompressed_crc != zlib.crc32(data):
            raise DamagedFile("its checksum is wrong")
        at = 0
        while at < len(data):
            if at + HEAD.size > len(data):
                raise DamagedFile("its last record is cut off")
            opcode, length = HEAD.unpack_from(data, at)
            at += HEAD.size
            if at + length > len(data) or (opcode not in IN_CHUNKS and opcode < PRIVATE):
                raise DamagedFile(f"it has a record of opcode {opcode} with {length} bytes")
            self._budget.record()
            yield from self._record(opcode, data[at : at + length], wanted)
            at += length

    def _unpack(self, chunk: Chunk) -> bytes:
        size, data = chunk.uncompressed_size, chunk.data
        self._budget.check_size(size, "chunk")
        if chunk.compression == "":
            return data
        if chunk.compression == "zstd":
            with BytesIO(data) as packed:
                return Unpacking(packed, self._budget).read(size + 1)
        if chunk.compression == "lz4":
            try:
                unpacked: bytes = lz4.frame.LZ4FrameDecompressor().decompress(data, size + 1)
            except (RuntimeError, ValueError) as error:
                raise DamagedFile(f"its lz4 data is broken: {error}") from error
            self._budget.unpack(len(unpacked))
            return unpacked
        raise DamagedFile(
            f"its compression is {chunk.compression!r}; zstd, lz4 and none can be read, "
            "and ros2 bag convert makes them"
        )

    def _record(
        self, opcode: int, content: bytes, wanted: Callable[[str], bool]
    ) -> Iterator[tuple[Topic, bytes]]:
        try:
            if opcode == Opcode.SCHEMA:
                schema = Schema.read(ReadDataStream(BytesIO(content)))
                schema.data = schema.data[: MAX_DEFINITION + 1]
                self._schemas[schema.id] = schema
                self._topics.clear()
            elif opcode == Opcode.CHANNEL:
                channel = Channel.read(ReadDataStream(BytesIO(content)))
                channel.metadata.clear()  # nothing reads it
                self._channels[channel.id] = channel
                self._topics.pop(channel.id, None)
            elif opcode == Opcode.MESSAGE:
                number, *_ = MESSAGE_HEAD.unpack_from(content)
                channel = self._channels[number]
                if wanted(channel.topic):
                    yield self._topic(channel), content[MESSAGE_HEAD.size :]
        except BAD_RECORD as error:
            raise DamagedFile(f"a record of it cannot be parsed ({reason(error)})") from error
        except KeyError as error:
            raise DamagedFile(f"the channel or schema {error} is not declared") from error

    def _topic(self, channel: Channel) -> Topic:
        if channel.id not in self._topics:
            encoding, kind = channel.message_encoding, Schema(0, b"", "", "")
            if channel.schema_id:
                kind = self._schemas[channel.schema_id]
            text = kind.data.decode()
            self._topics[channel.id] = Topic(
                channel.topic, kind.name, encoding, text, kind.encoding
            )
        return self._topics[channel.id]
