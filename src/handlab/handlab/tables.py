"""README's figures, made from results/*.json: `./handlab bench NAME --write` rewrites them.

A table is never typed: between its marks everything is replaced.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handlab_core.files import write_atomically
from handlab_core.paths import share

BEGIN, END = "<!-- figures:begin (made from results/*.json) -->", "<!-- figures:end -->"

Results = Mapping[str, Mapping[str, Any]]


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """All kept results by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def figures_table(results: Results) -> str:
    """The table of figures; a figure that was not measured is not in it."""
    rows = ["| figure | asked | measured | command |", "|---|---|---|---|"]
    for name, asked, measured in _figures(results):
        rows.append(f"| {name[0]} | {asked} | {measured} | `{results[name[1]]['command']}` |")
    machines = "; ".join(sorted({r["machine"] for r in results.values()}))
    return "\n".join([*rows, "", f"Measured on: {machines}."]) if results else "Not measured yet."


def _figures(results: Results) -> list[tuple[tuple[str, str], str, str]]:
    rows = []
    if (r := results.get("valve")) is not None:
        hours = ", ".join(_hours(h) for h in r["robot_hours_to_success"])
        rows.append((
            ("robot-hours to turn the valve, resets counted, median of 5 seeds", "valve"),
            "at most 3.5, each at most 6",
            f"**{_hours(r['value'])}** ({hours}); {len(r['graph_seeds'])} of the seeds also "
            f"through the graph",
        ))  # fmt: skip
    if (r := results.get("valve_strict")) is not None:
        hours = ", ".join(_hours(h) for h in r["robot_hours"])
        rows.append((
            ("the same by the strict criterion, 0.1 rad", "valve_strict"),
            "shown beside it",
            f"**{_hours(r['value'])}** ({hours})",
        ))  # fmt: skip
    if (r := results.get("demo")) is not None:
        rows.append((
            ("`./handlab demo`: success, and minutes after set-up", "demo"),
            "at least 90 %, under 6 min",
            f"**{r['success_rate']:.0%}**, **{r['value']:.1f} min**",
        ))  # fmt: skip
    for name, what, asked in (
        (
            "graph",
            "lockstep steps through the graph beside a bare ring of 4 processes",
            "ratio 0.6",
        ),
        ("sim", "in-process steps at 64 worlds beside bare `mj_step`", "ratio 0.85"),
    ):
        if (r := results.get(name)) is not None:
            rows.append(((what, name), asked, f"**{r['ratio']:.2f}** ({r['value']:.0f} steps/s)"))
    if (r := results.get("parity")) is not None:
        measured = f"**{r['value']:.0f}** of {r['compared']} in {r['episodes']} episodes"
        rows.append((("numbers that differ between graph and process", "parity"), "0", measured))
    return rows


def _hours(hours: float | None) -> str:
    return "never" if hours is None or hours == float("inf") else f"{hours:.2f} h"


def filled(text: str, results: Results) -> str:
    """A page with its table made anew."""
    return between(text, BEGIN, END, figures_table(results))


def between(text: str, begin: str, end: str, content: str) -> str:
    """A page with what is between two marks made anew."""
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{content}\n{end}{tail}"


def rewrite_readme() -> None:
    """Make README.md's table anew."""
    path = share() / "README.md"
    write_atomically(path, filled(path.read_text(), read_results(share() / "results")))
