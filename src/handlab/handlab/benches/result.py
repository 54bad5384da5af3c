"""A measurement, its result, and the folder of kept results."""

import json
import os
import platform
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handlab_core.system.paths import share
from handlab_core.system.provenance import commit


@dataclass(frozen=True)
class Result:
    """A figure beside its limit."""

    value: float
    limit: float
    unit: str
    details: dict[str, Any] = field(default_factory=dict)
    draw: Callable[[], None] | None = None
    """Writes the picture of a result that is kept."""

    @property
    def ratio(self) -> float:
        """The figure in units of its limit; of a limit of zero, the figure itself."""
        return self.value / self.limit if self.limit else self.value

    def plain(self) -> dict[str, Any]:
        """Return the result as JSON data."""
        head = {"value": self.value, "limit": self.limit, "ratio": self.ratio, "unit": self.unit}
        return head | self.details


Kept = Mapping[str, Any]
"""A kept result, as it is read from its file."""


@dataclass(frozen=True)
class Figure:
    """A row of the README's table of figures."""

    what: str
    asked: str
    measured: Callable[[Kept], str]
    """Text of a kept result; empty: the result has no such figure yet."""
    key: bool = False
    """Show the figure in the README, too."""


@dataclass(frozen=True)
class Table:
    """A table of the page of results, made from a kept result."""

    block: str
    """Name in the marks between which the table stands."""
    make: Callable[[Kept | None], str]


@dataclass(frozen=True)
class Bench:
    """One measurement with everything that is shown of it."""

    measure: Callable[..., Result]
    """Takes the seed and, if there are any, the options."""
    options: type | None = None
    """Dataclass of further options of the command line."""
    figure: Figure | None = None
    tables: tuple[Table, ...] = ()
    keeps_parts: bool = False
    """The result keeps a part for each hardware; otherwise each hardware has a file of its own."""
    parts: tuple[str, Collection[str]] | None = None
    """An option, and the names of which it chooses some. What belongs to a name is kept as soon as
    it is measured, so that a bench that is broken off has lost one name."""


def as_text(result: Mapping[str, Any]) -> str:
    """Return a result as JSON text, in which a row of numbers is one line."""
    text = json.dumps(result, indent=1)
    return re.sub(r"\[[-\d\s.,e+[\]]+\]", _one_line, text) + "\n"


def _one_line(numbers: re.Match[str]) -> str:
    return "".join(numbers[0].split()).replace(",", ", ")


def results() -> Path:
    """Return the folder of kept results."""
    return share() / "results"


def origin(name: str) -> dict[str, Any]:
    """Return the machine, commit, date and command that a result was made with."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    command = f"./handlab bench {name} --write"
    return {"machine": machine, "commit": commit(), "date": now, "command": command}
