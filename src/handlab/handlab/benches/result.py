"""What a measurement gives, and where it is kept."""

import inspect
import json
import os
import platform
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from handlab.reporting.generated_tables import rewrite_pages
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.system.files import check_writable, write_atomically
from handlab_core.system.paths import share


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
    name: str,
    benches: Mapping[str, Callable[..., Result]],
    seed: int,
    write: bool,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Measure, and with `write` keep the result in results/<name>.json.

    Args:
        name: of the bench.
        benches: measuring functions by name.
        seed: of all that is random.
        write: keep the result.
        options: further arguments of the measuring function. The value of `hardware` becomes part
            of the file's name.

    Raises:
        UnknownName: there is no such bench; the message lists those there are.
        BadConfig: the bench does not take one of the options.
        CannotWrite: the result is to be kept, and its folder does not allow it.
    """
    if name not in benches:
        raise UnknownName("bench", name, benches)
    if write:  # asked before hours of measuring
        check_writable(results())
        check_writable(share())
    taken = [option for option in inspect.signature(benches[name]).parameters if option != "seed"]
    if foreign := [f"--{option}" for option in options if option not in taken]:
        known = ", ".join(f"--{option}" for option in taken) or "none of these options"
        raise BadConfig(f"bench {name} does not take {', '.join(foreign)}; it takes {known}")
    words: list[str] = []
    for option, value in options.items():
        words += [f"--{option}"] if value is True else [f"--{option}", str(value)]
    # Before measuring: a long bench should not name a commit that came meanwhile.
    made = origin(shlex.join([name, *words]))
    result = benches[name](seed, **options)
    plain = result.plain()
    if write:
        made["load"] = round(os.getloadavg()[1], 1)  # of five minutes: what else ran shows here
        file = f"{name}_{options['hardware']}" if "hardware" in options else name
        write_atomically(results() / f"{file}.json", as_text(plain | made))
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
