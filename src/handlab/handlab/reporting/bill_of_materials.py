"""Parts and costs of a claw: docs/claw_bom.csv, and the tables in docs/claw.md.

`python -m handlab.reporting.bill_of_materials` makes the tables again.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from handlab.reporting.generated_tables import between
from handlab_core.errors import BadConfig
from handlab_core.system.files import write_atomically
from handlab_core.system.paths import share

PARTS = "docs/claw_bom.csv"
PAGE = "docs/claw.md"
BEGIN, END = "<!-- parts:begin (made from docs/claw_bom.csv) -->", "<!-- parts:end -->"

BUILDS = ("recommended", "budget", "original")
"""Ways to build it, each with its own counts."""

LIMIT = 2500.0
"""$, what the claw may cost: the post says that it costs less."""

ESTIMATE = "estimate"
"""A source that begins so is no listed price."""


@dataclass(frozen=True)
class Part:
    """One line of the list."""

    name: str
    number: str  # the maker's, if it must be that very part
    counts: dict[str, int]  # by build
    usd: float  # $ each, without tax and shipping
    date: str  # of the price, year-month or year-month-day
    source: str

    @property
    def estimated(self) -> bool:
        """Return whether this price was never listed with a date."""
        return self.source.startswith(ESTIMATE)


def read_parts(path: Path) -> list[Part]:
    """Read the list.

    Raises:
        BadConfig: a line lacks a column.
    """
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return [
            Part(
                row["part"],
                row["number"],
                {build: int(row[build]) for build in BUILDS},
                float(row["usd"]),
                row["date"],
                row["source"],
            )
            for row in rows
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise BadConfig(f"{path}: every line needs all columns of the first ({error})") from None


def total(parts: Sequence[Part], build: str) -> float:
    """Return the cost of one build [$]."""
    return sum(part.counts[build] * part.usd for part in parts)


def parts_table(parts: Sequence[Part]) -> str:
    """Return the list as a table, with the total of every build in its last line."""
    heads = ["part", "number", *BUILDS, "each, $", "date", "source"]
    rows = [heads, ["---", "---", *["--:"] * len(BUILDS), "--:", "---", "---"]]
    for part in parts:
        counts = [str(part.counts[build]) for build in BUILDS]
        rows.append([part.name, part.number, *counts, f"{part.usd:.2f}", part.date, part.source])
    totals = [f"**${total(parts, build):,.0f}**" for build in BUILDS]
    rows.append(["**total**", "", *totals, "", "", "without tax and shipping"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def filled(text: str, parts: Sequence[Part]) -> str:
    """Return a page with its table made again."""
    return between(text, BEGIN, END, parts_table(parts))


def main() -> None:
    """Make the page's table again."""
    path = share() / PAGE
    write_atomically(path, filled(path.read_text(), read_parts(share() / PARTS)))


if __name__ == "__main__":
    main()
