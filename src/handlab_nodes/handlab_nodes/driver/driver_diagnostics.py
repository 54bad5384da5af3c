"""Diagnostics of a driver: the worst present problem, and counts."""

import time
from collections.abc import Iterable, Sequence

from rclpy.node import Node

from handlab_core.hardware.motor_status import StationStatus
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_nodes.driver.step_loop import Pace, RealPace, percentile_ms
from handlab_nodes.messages import topics
from handlab_nodes.runtime.diagnostics import (
    ERROR,
    NOT_ACTIVE,
    OK,
    WARN,
    Diagnostics,
    strangers_among,
)
from handlab_nodes.runtime.inbox import NO_NAME

NEWS_PERIOD = 0.1
"""Seconds; shortest time between reports of changed motors, besides the report of every second."""


class DriverDiagnostics:
    """Diagnostics of one driver.

    Args:
        node: the driver.
        sources: names of the nodes that may command its hand.
    """

    def __init__(self, node: Node, sources: Sequence[str]) -> None:
        self._node, self._sources = node, sources
        self._diagnostics = Diagnostics(node)
        self._problems: tuple[str, ...] = ()
        self._worn: tuple[str, ...] = ()
        self._counts: dict[str, int] = {}
        self._published_at = 0.0

    def has_news(self, health: StationStatus) -> bool:
        """Whether the motors' problems or counts have changed since the last report."""
        known = health.problems == self._problems and len(health.worn) == len(self._worn)
        news = not known or dict(health.counts) != self._counts
        return news and time.monotonic() - self._published_at >= NEWS_PERIOD

    def report_idle(self, why: str) -> None:
        """Report that the driver is not active; `why` is the reason if it should be active."""
        self._diagnostics.publish(ERROR if why else WARN, why or NOT_ACTIVE, {})

    def report(
        self, backend: ClampedBackend, pace: Pace, health: StationStatus | None, malformed: int
    ) -> None:
        """Report the state of the station and unexpected sources of commands.

        Args:
            backend: the driven backend.
            pace: stepping of the backend.
            health: state of the motors; None: they are simulated.
            malformed: number of commands refused so far.
        """
        self._problems = () if health is None else health.problems
        self._worn = () if health is None else health.worn
        self._counts = {} if health is None else dict(health.counts)
        self._published_at = time.monotonic()
        topic = self._node.resolve_topic_name(topics.HAND_COMMANDS)
        names = [info.node_name for info in self._node.get_publishers_info_by_topic(topic)]
        senders = [name for name in names if name != NO_NAME]  # which the next report has
        strangers = strangers_among(senders, self._sources)
        counts: dict[str, object] = {
            "commands_clamped": backend.clamped,
            "targets_dropped": backend.dropped,
            "commands_malformed": malformed,
            "commands_stale": pace.stale,
            "strange_command_sources": ", ".join(strangers),
        }
        if isinstance(pace, RealPace):
            late = percentile_ms(pace.period_errors(), 99)
            counts["period_error_p99_ms"] = f"{late:.3f}"
            counts["commands_overruled"] = pace.overruled
        counts |= self._counts
        if self._problems:
            self._diagnostics.publish(ERROR, "; ".join((*self._problems, *self._worn)), counts)
        elif self._worn:
            text = "; ".join(self._worn)
            self._node.get_logger().warning(text, throttle_duration_sec=60.0)
            self._diagnostics.publish(WARN, text, counts)
        elif warning := self._warning(senders, strangers, pace):
            self._node.get_logger().warning(warning, throttle_duration_sec=10.0)
            self._diagnostics.publish(WARN, warning, counts)
        else:
            notes = "; ".join(health.notes) if health is not None else ""
            self._diagnostics.publish(WARN if notes else OK, notes or "driving", counts)

    def _warning(self, senders: Iterable[str], strangers: Sequence[str], pace: Pace) -> str:
        """Return the problem of the commands; empty: none."""
        if unlisted := sorted(set(senders).difference(self._sources)):
            return f"commands from {', '.join(unlisted)} are refused: not in command_sources"
        if strangers:
            return f"commands also come from {', '.join(strangers)}"
        if isinstance(pace, RealPace) and (silence := pace.silence()):
            return (
                f"the controllers sent no command for {silence:.1f} s and the hand is held, then "
                "let go: set trigger_joint_command_threshold to -1, or restart them"
            )
        return ""
