"""Messages of a database of rosbag2_storage_sqlite3."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from handlab_core.errors import BadDemonstrations
from handlab_data.storage.limits import (
    CONVERT,
    MAX_DEFINITION,
    MAX_RECORD,
    MAX_RECORDS,
    MIB,
    Budget,
)
from handlab_data.storage.topic import DamagedFile, Topic

SQLITE_MAGIC = b"SQLite format 3\0"
"""First bytes of a file."""
VM_STEPS = 1_000_000
"""Instructions of sqlite's virtual machine between two looks at their number."""
STEPS_PER_RECORD = 100
"""Instructions; upper limit for reading one row. Measured: 9."""


class SqliteFile:
    """One sqlite3 database of rosbag2_storage_sqlite3.

    Its schema: rosbag2_storage_sqlite3/src/rosbag2_storage_sqlite3/sqlite_storage.cpp. Definitions
    are in it since schema 4 (Iron).
    """

    def __init__(self, path: Path, budget: Budget) -> None:
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
            raise DamagedFile(f"the database cannot be read any further: {error}") from error
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
                    raise DamagedFile(f"a message on {topics[number].name} is no data")
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
