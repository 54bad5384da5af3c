"""Tables in README.md and docs/results.md, made from results/*.json.

`./handlab bench NAME --write` rewrites them. Each bench makes its own row and tables; everything
between the marks of a table is replaced.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handlab.benches.formatting import NOT_YET
from handlab.benches.table import BENCHES
from handlab_core.system.files import read_json, write_atomically
from handlab_core.system.paths import share
from handlab_learning.runs.evaluation import INTERVAL

Results = Mapping[str, Mapping[str, Any]]

README, RESULTS = "README.md", "docs/results.md"

PAGES = (README, RESULTS)
"""Pages with tables: the key figures, and everything."""


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Return all kept results by name."""
    return {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}


def figures_table(results: Results, only_key: bool = False) -> str:
    """Return the table of figures, without those that were not measured.

    Args:
        results: kept results by name.
        only_key: leave out figures that the README does not show.
    """
    rows = ["| figure | asked | measured | command |", "|---|---|---|---|"]
    for name, bench in BENCHES.items():
        figure, result = bench.figure, results.get(name)
        if figure is None or result is None or (only_key and not figure.key):
            continue
        if measured := figure.measured(result):
            rows.append(f"| {figure.what} | {figure.asked} | {measured} | `{result['command']}` |")
    machines = "; ".join(sorted({r["machine"] for r in results.values()}))
    foot = f"Measured on: {machines}. In brackets: intervals of rates ({INTERVAL})."
    return "\n".join([*rows, "", foot]) if results else NOT_YET


def filled(page: str, text: str, results: Results) -> str:
    """Return the text of a page with its tables made again."""
    if page == README:
        return between(text, *marks("figures", "*"), figures_table(results, only_key=True))
    text = between(text, *marks("figures", "*"), within_docs(figures_table(results)))
    for name, bench in BENCHES.items():
        for table in bench.tables:
            made = within_docs(table.make(results.get(name)))
            text = between(text, *marks(table.block, name), made)
    return text


def within_docs(text: str) -> str:
    """Return a text for a page in docs/, in which links are relative to that folder."""
    return text.replace(f"]({RESULTS}#", "](#").replace("](docs/", "](")


def marks(block: str, bench: str) -> tuple[str, str]:
    """Return the marks between which a table stands."""
    made = f"(made from results/{bench}.json)"
    return f"<!-- {block}:begin {made} -->", f"<!-- {block}:end -->"


def between(text: str, begin: str, end: str, content: str) -> str:
    """Return a text in which everything between two marks is replaced."""
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{content}\n{end}{tail}"


def rewrite_pages() -> None:
    """Make the tables of all pages again."""
    results = read_results(share() / "results")
    for name in PAGES:
        path = share() / name
        write_atomically(path, filled(name, path.read_text(), results))
