"""Live display of a graph's problems and of its start, from its nodes' /diagnostics."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from handlab.graph.emergency_stop import GraphSwitch
from handlab.graph.processes import Graph
from handlab.operation.stop_key import StopKey
from handlab_core.errors import StationFault, said
from handlab_nodes.runtime.diagnostics import ERROR, NOT_ACTIVE, OK
from handlab_nodes.runtime.event_loop import POLL, guest

START_PATIENCE = 10.0
"""Seconds; a graph that was never ready ends when a node has reported an error for this long."""

REMIND_EVERY = 10.0
"""Seconds between lines that name what the start waits for."""
REMIND_AFTER = 5.0
"""Seconds until the first of them."""

SETTLE = 1.0
"""Seconds between two lines about one node at least."""

DEPTH = 100
"""Queue depth of the subscription: reports of many nodes arrive while this process is busy."""

VIEWER = "viewer"
"""The one node that reports nothing."""

Clock = Callable[[], float]


@dataclass
class Report:
    """The newest report of one node, and the report last shown to the user."""

    level: bytes
    message: str
    since: float
    """s; from when on it has had this level."""
    shown: tuple[bytes, str] = (OK, "")
    shown_at: float = -SETTLE


class DiagnosticsMonitor:
    """Follows the reports of a graph's nodes.

    Args:
        nodes: names of the nodes.
        say: shows the user a line.
        clock: s, monotonic.
    """

    def __init__(
        self, nodes: Iterable[str], say: Callable[[str], None], clock: Clock = time.monotonic
    ) -> None:
        self.ready = False
        """Whether every node has reported and none of them waits."""
        self._nodes = frozenset(nodes)
        self._missing = set(self._nodes - {VIEWER})
        self._say, self._clock = say, clock
        self._reports: dict[str, Report] = {}
        self._began = clock()
        self._next_reminder = self._began + REMIND_AFTER

    def listen(self, node: Node) -> "DiagnosticsMonitor":
        """Hear the reports through a node."""
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_message, DEPTH)
        return self

    def _on_message(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.take(status.name, status.level, status.message)

    def take(self, name: str, level: bytes, message: str) -> None:
        """Take a report of a node; programs outside of the graph may report, too."""
        name, message = said(name), said(message)
        report = self._reports.get(name)
        if report is None:
            report = self._reports[name] = Report(level, message, self._clock())
        if level != report.level:
            report.since = self._clock()
        report.level, report.message = level, message
        self._missing.discard(name)

    def check(self) -> None:
        """Show new reports; call it several times a second.

        Raises:
            StationFault: the graph cannot start; names the node and its error.
        """
        now = self._clock()
        for name, report in self._reports.items():
            self._show(name, report, now)
        if self.ready:
            return
        self.ready = not self._missing and not self._waiting()
        if self.ready:
            return
        for name, report in self._own():
            if report.level == ERROR and now - report.since > START_PATIENCE:
                raise StationFault(f"{name}: {report.message}")
        if now >= self._next_reminder:
            self._next_reminder = now + REMIND_EVERY
            silent = [f"{name} (no report yet)" for name in sorted(self._missing)]
            said = [f"{name} ({self._reports[name].message})" for name in self._waiting()]
            self._say(f"waiting for {', '.join([*silent, *said])}")

    @property
    def start_s(self) -> float:
        """Seconds since the watch began."""
        return self._clock() - self._began

    def _waiting(self) -> list[str]:
        """Return the nodes that have reported and cannot work yet."""
        return [
            name
            for name, report in self._own()
            if report.level == ERROR or report.message == NOT_ACTIVE
        ]

    def _own(self) -> Iterator[tuple[str, Report]]:
        """Yield the reports of the graph's nodes; others are shown, and hold nothing up."""
        yield from ((name, report) for name, report in self._reports.items() if name in self._nodes)

    def _show(self, name: str, report: Report, now: float) -> None:
        if report.message == NOT_ACTIVE and not self.ready:
            return
        # Numbers may differ from report to report of the same problem.
        seen = (report.level, "" if report.level == OK else re.sub(r"[\d.]+", "#", report.message))
        if seen == report.shown or now - report.shown_at < SETTLE:
            return
        text = report.message
        if report.level == OK:
            text = f"well again ({text})"
        kind = {OK: "", ERROR: "error: "}.get(report.level, "warning: ")
        report.shown, report.shown_at = seen, now
        self._say(f"{name}: {kind}{text}")


def follow(graph: Graph, say: Callable[[str], None], hints: Iterable[str] = ()) -> None:
    """Show the reports of a graph until it ends; raise StationFault with the reason.

    Args:
        graph: graph that has just been started.
        say: shows the user a line.
        hints: lines that are shown when the graph is ready.
    """
    with guest("_handlab", graph.domain) as (node, loop):
        watch = DiagnosticsMonitor(graph.names, say).listen(node)
        switch = GraphSwitch(graph, node)
        announced = False
        with StopKey(switch, switch.has_drivers, say) as stop_key:
            while (reason := graph.exit_reason()) is None:
                loop.once(POLL)
                watch.check()
                if watch.ready and not announced:
                    announced = True
                    say(f"ready after {watch.start_s:.1f} s; {stop_key.line or 'Ctrl-C ends it'}")
                    for hint in hints:
                        say(hint)
    raise StationFault(reason)
