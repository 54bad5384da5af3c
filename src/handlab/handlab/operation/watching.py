"""Live view of a report in the terminal, until Ctrl-C."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from handlab.operation.report import HandReport

EVERY = 0.5
"""s; shortest time between two reports."""


def watch(report: Callable[[], HandReport]) -> None:
    """Show a report again and again, until Ctrl-C.

    Args:
        report: makes a report.
    """
    with Live(console=Console(), auto_refresh=False) as live:
        while True:
            began = time.monotonic()
            found = report()
            text = Text("\n".join(found.lines()), no_wrap=True)
            for fault in found.faults:
                text.append(f"\n! {fault}", style="bold red")
            live.update(text, refresh=True)
            time.sleep(max(0.0, EVERY - (time.monotonic() - began)))
