"""Journal of the finished parts of a long measurement, with which the same command continues."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from handlab_core.system.provenance import commit

KEEP_FOR = 3 * 24 * 3600.0
"""Seconds for which the finished parts of a measurement that was broken off count."""


class Journal:
    """File of the finished parts of a measurement, one a line.

    Args:
        path: of the file.
        key: of the measurement; lines of another one do not count.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key

    def read(self) -> dict[str, Any]:
        """Return what was measured, by the name of the part."""
        found: dict[str, Any] = {}
        with suppress(OSError):
            for line in self._path.read_text().splitlines():
                with suppress(ValueError, TypeError, KeyError):  # a line that was being written
                    entry = json.loads(line)
                    if entry["key"] == self._key and time.time() - entry["time"] < KEEP_FOR:
                        found[entry["part"]] = entry["measured"]
        return found

    def add(self, part: str, measured: Any) -> None:
        """Add a part, as JSON. A disk that is full costs only the memory of it."""
        entry = {"key": self._key, "time": time.time(), "part": part, "measured": measured}
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps(entry) + "\n")

    def clear(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self._path.unlink()


def journal(name: str, settings: str = "") -> Journal:
    """Return the journal of a measurement of this commit.

    Args:
        name: of the measurement.
        settings: what else it depends on.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    file = f"bench-{name.replace(' ', '-')}.jsonl"
    return Journal(cache / "handlab" / file, f"{commit()} {settings}")
