"""Text of figures in tables."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from handlab_learning.runs.evaluation import wilson_interval

NOT_YET = "Not measured yet."


def rate_text(verdict: Mapping[str, Any], episodes: int | None = None, mark: str = "**") -> str:
    """Return a success rate between marks, with its 95 % interval where that is known."""
    rate, count = verdict["success_rate"], episodes or verdict.get("episodes")
    text = f"{mark}{rate:.0%}{mark}"
    if count is None:
        return text
    low, high = wilson_interval(round(rate * count), count)
    return f"{text} [{low:.0%}, {high:.0%}]"


def hours_text(hours: float | None) -> str:
    """Return robot-hours with their unit; 0 h needed no robot, None was never reached."""
    if hours == 0:
        return "0 h (cloning alone)"
    return "never" if hours is None or hours == float("inf") else f"{hours:.2f} h"


def steps_text(r: Mapping[str, Any]) -> str:
    """Return a ratio and the steps per second it is of."""
    return f"**{r['ratio']:.2f}** ({r['value']:.0f} steps/s)"


def with_command(rows: list[str], result: Mapping[str, Any]) -> str:
    """Return a table, and below it the command that made it."""
    return "\n".join([*rows, "", f"Made by `{result['command']}`."])


def print_row(row: Mapping[str, Any]) -> None:
    """Print a row of a long bench at once, apart from its result."""
    print(json.dumps(row), file=sys.stderr, flush=True)
