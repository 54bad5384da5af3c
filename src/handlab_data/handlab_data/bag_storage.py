"""Read the stored messages of a rosbag2 bag: MCAP or sqlite3, split or compressed. Needs no ROS.

A bag may come from anywhere, so every loop and every buffer has a limit:

| limit         | bounds                                                               |
|---------------|----------------------------------------------------------------------|
| MAX_RECORD    | one record, chunk or message, before and after it is unpacked        |
| MAX_UNPACKED  | all bytes that come out of compressed data                           |
| MAX_RATIO     | unpacked bytes for each stored byte, above RATIO_FREE unpacked bytes |
| MAX_RECORDS   | records of all files together                                        |
| MAX_DEFINITION| the text of one message definition                                   |

Damage is not fatal: a file ends where its framing breaks, and a chunk whose checksum is wrong is
left out. `Bag.damage` lists both; the reader of the messages decides whether the rest is usable.
"""

import re
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import quote

import lz4.frame
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Schema

from handlab_core.errors import BadDemonstrations
from handlab_core.system.files import read_yaml
from handlab_data.bag_folder import INFORMATION, METADATA

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

MAX_NOTES = 100
"""Places of damage; limit of the list."""

MCAP_MAGIC = b"\x89MCAP0\r\n"
SQLITE_MAGIC = b"SQLite format 3\0"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
"""First bytes of a file; ZSTD_MAGIC also those of a compressed message, as CDR begins with 0."""

WINDOW = 1 << 27
"""Bytes; largest accepted window of a zstd frame, zstd's own default."""
PIECE = 1 << 20
"""Bytes read at a time where data is skipped or copied."""
HEAD = struct.Struct("<BQ")
MESSAGE_HEAD = struct.Struct("<HIQQ")
PRIVATE = 0x80
"""First opcode that applications may define; mcap.dev/spec."""
VM_STEPS = 1_000_000
"""Instructions of sqlite's virtual machine between two looks at their number."""
STEPS_PER_RECORD = 100
"""Instructions; upper limit for reading one row. Measured: 9."""

SUFFIXES = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")
SPLIT = re.compile(r"(?P<stem>.*?)(?:_(?P<number>\d+))?(?P<suffix>(?:\.mcap|\.db3)(?:\.zstd)?)")

BAD_RECORD = (McapError, struct.error, ValueError, OverflowError, EOFError)
"""Exceptions of mcap's parsers for contents that do not fit their own lengths."""


@dataclass(frozen=True)
class Topic:
    """A topic as one file declares it."""

    name: str
    type: str
    encoding: str
    """Encoding of the messages; ROS 2 writes cdr."""
    definition: str
    definition_format: str
    """ros2msg or ros2idl; empty: the file brings no definition."""


class _Damaged(Exception):  # noqa: N818  (an interruption that never leaves this module)
    """The present file or chunk cannot be read any further."""


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
            self.files, self.described = _files(self.path)
            stored = sum(file.stat().st_size for file in self.files)
        except (OSError, ValueError) as error:
            raise BadDemonstrations(f"{self.path} cannot be read: {_reason(error)}") from error
        self._budget = _Budget(self.path, stored)

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
            except _Damaged as damage:
                self.damage.append(f"{file.name}: {damage}")
            except OSError as error:
                raise BadDemonstrations(f"{file} cannot be read: {_reason(error)}") from error

    def _messages(self, path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[Topic, bytes]]:
        with path.open("rb") as file:
            magic = file.read(len(SQLITE_MAGIC))
            file.seek(0)
            if magic.startswith(ZSTD_MAGIC):
                yield from self._compressed(file, wanted)
            elif magic == SQLITE_MAGIC:
                yield from self._plain(_Sqlite(path, self._budget).messages(wanted))
            else:
                yield from self._plain(self._mcap(file, path, wanted))

    def _compressed(
        self, file: IO[bytes], wanted: Callable[[str], bool]
    ) -> Iterator[tuple[Topic, bytes]]:
        """Unpack a whole file: MCAP as it is read, a database into a scratch file."""
        unpacked: Any = _Unpacking(file, self._budget)
        magic = unpacked.peek(len(SQLITE_MAGIC))
        if magic != SQLITE_MAGIC:
            yield from self._plain(self._mcap(unpacked, Path(file.name), wanted))
            return
        with tempfile.NamedTemporaryFile(suffix=".db3") as scratch:
            while piece := unpacked.read(PIECE):
                scratch.write(piece)
            scratch.flush()
            yield from self._plain(_Sqlite(Path(scratch.name), self._budget).messages(wanted))

    def _mcap(
        self, file: Any, path: Path, wanted: Callable[[str], bool]
    ) -> Iterator[tuple[Topic, bytes]]:
        return _Mcap(file, path, self._budget, self.damage, self.described).messages(wanted)

    def _plain(self, messages: Iterator[tuple[Topic, bytes]]) -> Iterator[tuple[Topic, bytes]]:
        """Unpack the messages that are compressed one by one."""
        for topic, data in messages:
            if data[:4] == ZSTD_MAGIC:
                with BytesIO(data) as packed:
                    yield topic, _Unpacking(packed, self._budget).read_record()
            else:
                yield topic, data


class _Budget:
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


CONVERT = (
    "Keep the topics of the demonstrations only, uncompressed: ros2 bag convert with `topics` and "
    "without `compression_mode`"
)


class _Unpacking:
    """A zstd stream as a file that can be read forwards, within the budget."""

    def __init__(self, file: IO[bytes], budget: _Budget) -> None:
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
                raise _Damaged(f"its zstd data is broken: {error}") from error
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


class _Mcap:
    """One MCAP file; see mcap.dev/spec."""

    def __init__(
        self, file: Any, path: Path, budget: _Budget, damage: list[str], described: bool
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
                except _Damaged as damage:
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
            raise _Damaged(f"it ends at byte {at}, before its end is written")
        opcode, length = HEAD.unpack(head)
        self._budget.record()
        if not opcode:
            raise _Damaged(f"the record at byte {at} has the opcode 0")
        if opcode not in NEEDED or not (keep_all or opcode == Opcode.FOOTER):
            self._skip(length, at)
            return opcode, b""
        content = self._read(min(length, MAX_RECORD + 1))
        if len(content) < min(length, MAX_RECORD + 1):
            raise _Damaged(f"it ends within the record at byte {at}")
        self._budget.check_size(length, "record")
        return opcode, content

    def _skip(self, length: int, at: int) -> None:
        left = length
        while left > 0:
            piece = self._read(min(left, PIECE))
            if not piece:
                raise _Damaged(f"it ends within the record at byte {at}")
            left -= len(piece)

    def _check_footer(self, content: bytes) -> None:
        """Refuse the footer of a killed recorder: no summary, and no metadata.yaml."""
        if not self._described and not any(content[:8]):
            raise _Damaged("its recorder did not finish it")

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
            raise _Damaged(f"it cannot be parsed ({_reason(error)})") from error
        data = self._unpack(chunk)
        if len(data) != chunk.uncompressed_size:
            raise _Damaged(f"it has {len(data)} bytes instead of {chunk.uncompressed_size}")
        if chunk.uncompressed_crc and chunk.uncompressed_crc != zlib.crc32(data):
            raise _Damaged("its checksum is wrong")
        at = 0
        while at < len(data):
            if at + HEAD.size > len(data):
                raise _Damaged("its last record is cut off")
            opcode, length = HEAD.unpack_from(data, at)
            at += HEAD.size
            if at + length > len(data) or (opcode not in IN_CHUNKS and opcode < PRIVATE):
                raise _Damaged(f"it has a record of opcode {opcode} with {length} bytes")
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
                return _Unpacking(packed, self._budget).read(size + 1)
        if chunk.compression == "lz4":
            try:
                unpacked: bytes = lz4.frame.LZ4FrameDecompressor().decompress(data, size + 1)
            except (RuntimeError, ValueError) as error:
                raise _Damaged(f"its lz4 data is broken: {error}") from error
            self._budget.unpack(len(unpacked))
            return unpacked
        raise _Damaged(
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
            raise _Damaged(f"a record of it cannot be parsed ({_reason(error)})") from error
        except KeyError as error:
            raise _Damaged(f"the channel or schema {error} is not declared") from error

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


NEEDED = {
    *(Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE),
    *(Opcode.CHUNK, Opcode.DATA_END, Opcode.FOOTER),
}
IN_CHUNKS = {Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE}


class _Sqlite:
    """One sqlite3 database of rosbag2_storage_sqlite3.

    Its schema: rosbag2_storage_sqlite3/src/rosbag2_storage_sqlite3/sqlite_storage.cpp. Definitions
    are in it since schema 4 (Iron).
    """

    def __init__(self, path: Path, budget: _Budget) -> None:
        self._path, self._budget, self._steps = path, budget, 0

    def messages(self, wanted: Callable[[str], bool]) -> Iterator[tuple[Topic, bytes]]:
        """Yield topic and data of the wanted messages, in the order in which they were written."""
        journal = self._path.with_name(f"{self._path.name}-wal")
        unfinished = journal.exists() and journal.stat().st_size > 0
        mode = "mode=ro" if unfinished else "mode=ro&immutable=1"
        try:
            base = sqlite3.connect(f"file:{quote(str(self._path.resolve()))}?{mode}", uri=True)
        except sqlite3.Error as error:
            raise BadDemonstrations(f"{self._path} cannot be opened: {error}") from error
        try:
            base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_RECORD)
            base.set_progress_handler(self._on_progress, VM_STEPS)
            base.execute("PRAGMA trusted_schema = OFF")
            yield from self._rows(base, self._topics(base), wanted)
        except sqlite3.DataError as error:
            raise BadDemonstrations(
                f"{self._path} is refused: {error}; {MAX_RECORD // MIB} MiB are allowed. {CONVERT}"
            ) from error
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _Damaged(f"the database cannot be read any further: {error}") from error
        finally:
            base.close()

    def _on_progress(self) -> bool:
        """Interrupt a query that takes more steps than any bag needs."""
        self._steps += VM_STEPS
        return self._steps > MAX_RECORDS * STEPS_PER_RECORD

    def _topics(self, base: sqlite3.Connection) -> dict[int, Topic]:
        self._check_table(base, "topics", {"id", "name", "type", "serialization_format"})
        self._check_table(base, "messages", {"id", "topic_id", "data"})
        definitions: dict[str, tuple[str, str]] = {}
        columns = {"topic_type", "encoding", "encoded_message_definition"}
        if self._has_table(base, "message_definitions", columns):
            for name, kind, text in base.execute(
                "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
            ):
                self._budget.record()
                definitions[str(name)] = (str(kind), str(text)[: MAX_DEFINITION + 1])
        topics = {}
        rows = base.execute("SELECT id, name, type, serialization_format FROM topics")
        for number, name, kind, encoding in rows:
            self._budget.record()
            form, text = definitions.get(str(kind), ("", ""))
            topics[number] = Topic(str(name), str(kind), str(encoding), text, form)
        return topics

    def _rows(
        self,
        base: sqlite3.Connection,
        topics: dict[int, Topic],
        wanted: Callable[[str], bool],
    ) -> Iterator[tuple[Topic, bytes]]:
        needed = {number for number, topic in topics.items() if wanted(topic.name)}
        for number, data in base.execute("SELECT topic_id, data FROM messages"):
            self._budget.record()
            if number in needed:
                if not isinstance(data, bytes):
                    raise _Damaged(f"a message on {topics[number].name} is no data")
                yield topics[number], data

    def _check_table(self, base: sqlite3.Connection, name: str, columns: set[str]) -> None:
        if not self._has_table(base, name, columns):
            raise BadDemonstrations(
                f"{self._path} is no bag: it is a database without a table {name} of "
                f"{', '.join(sorted(columns))}"
            )

    def _has_table(self, base: sqlite3.Connection, name: str, columns: set[str]) -> bool:
        """Return whether an ordinary table has these stored columns: a view may never end."""
        ordinary = base.execute(
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ? AND rootpage > 0",
            (name,),
        ).fetchone()[0]
        rows = base.execute(f"PRAGMA table_xinfo({name})").fetchall()
        return bool(ordinary) and columns <= {row[1] for row in rows if not row[6]}


def _files(path: Path) -> tuple[list[Path], bool]:
    """Find the files of a bag in their order, and whether a finished metadata.yaml lists them."""
    if path.is_file():
        return [path], False
    if not path.is_dir():
        what = "is no file and no folder" if path.exists() else "does not exist"
        raise BadDemonstrations(f"{path} {what}; name the folder of a bag")
    metadata = path / METADATA
    files, finished = _listed(metadata) if metadata.is_file() else (_found(path), False)
    if missing := [file.name for file in files if not file.is_file()]:
        raise BadDemonstrations(
            f"{path} is not whole: {', '.join(missing[:5])} is listed in metadata.yaml and "
            "missing; copy it again, or run `ros2 bag reindex` for what there is"
        )
    return files, finished


def _listed(metadata: Path) -> tuple[list[Path], bool]:
    """Read the order of the files, which every version of rosbag2's metadata has.

    Until it ends, a recorder of ours leaves metadata that counts no messages.
    """
    advice = "repair it with `ros2 bag reindex`, or remove it"
    try:
        content = read_yaml(metadata, BadDemonstrations)
        information = content[INFORMATION]
        names, finished = information["relative_file_paths"], information.get("message_count") != 0
        # Before version 4 a path began with the bag's folder.
        files = [metadata.with_name(PurePosixPath(name).name) for name in names]
    except BadDemonstrations as error:
        raise BadDemonstrations(f"{error}; {advice}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadDemonstrations(
            f"{metadata} is no description of a bag ({_reason(error)}); {advice}"
        ) from error
    if not files or len(set(files)) < len(files):
        what = "a file twice" if files else "no files"
        raise BadDemonstrations(f"{metadata} lists {what}; {advice}")
    return files, finished


def _found(path: Path) -> list[Path]:
    """Find the files where no metadata.yaml lists them: one, or those of one split bag."""
    found = [file for file in path.iterdir() if file.name.endswith(SUFFIXES)]
    if not found:
        raise BadDemonstrations(
            f"{path} is no bag: a folder with metadata.yaml, or with MCAP or sqlite3 files, is "
            "needed"
        )
    parts = [match for file in found if (match := SPLIT.fullmatch(file.name))]
    numbered = sorted(
        (int(part["number"] or 0), file) for part, file in zip(parts, found, strict=True)
    )
    first = numbered[0][0]
    whole = [number for number, _ in numbered] == list(range(first, first + len(found)))
    if len({(part["stem"], part["suffix"]) for part in parts}) > 1 or not whole:
        names = ", ".join(sorted(file.name for file in found)[:5])
        raise BadDemonstrations(
            f"{path} has no metadata.yaml, and {names} are not the parts of one bag, all of them: "
            "name one file, or run `ros2 bag reindex`"
        )
    return [file for _, file in numbered]


def _reason(error: BaseException) -> str:
    """Describe an error in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
