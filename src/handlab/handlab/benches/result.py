"""What a measurement gives, and where it is kept."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handlab.tables import rewrite_pages
from handlab_core.errors import UnknownName
from handlab_core.files import write_atomically
from handlab_core.paths import share


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
        """As JSON."""
        head = {"value": self.value, "limit": self.limit, "ratio": self.ratio, "unit": self.unit}
        return head | self.details


def run_bench(
    name: str, benches: Mapping[str, Callable[[int], Result]], seed: int, write: bool
) -> dict[str, Any]:
    """Measure, and with `write` keep the result in results/<name>.json.

    Raises:
        UnknownName: there is no such bench; the message lists what there is.
    """
    if name not in benches:
        raise UnknownName("bench", name, benches)
    made = origin(name)  # before: a long bench should not name a commit that came meanwhile
    result = benches[name](seed)
    plain = result.plain()
    if write:
        made["load"] = round(os.getloadavg()[1], 1)  # of five minutes: what else ran shows here
        write_atomically(results() / f"{name}.json", as_text(plain | made))
        if result.draw is not None:
            result.draw()
        rewrite_pages()
    return plain


def as_text(result: Mapping[str, Any]) -> str:
    """As JSON, in which a row of numbers is one line."""
    text = json.dumps(result, indent=1)
    return re.sub(r"\[[-\d\s.,e+[\]]+\]", _one_line, text) + "\n"


def _one_line(numbers: re.Match[str]) -> str:
    return "".join(numbers[0].split()).replace(",", ", ")


def results() -> Path:
    """The folder of kept results."""
    return share() / "results"


def origin(name: str) -> dict[str, Any]:
    """On what machine, from which commit and by which command a result was made."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=share(), capture_output=True, text=True
    ).stdout.strip()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    command = f"./handlab bench {name} --write"
    return {"machine": machine, "commit": commit, "date": now, "command": command}
