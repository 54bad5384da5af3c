"""What a driver tells on /diagnostics: the worst of what is wrong now, and its counts."""

import time
from collections.abc import Sequence

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

NEWS_PERIOD = 0.1
"""s. So often at most news of the motors are told, beside the report of every second."""


class DriverDiagnostics:
    """Reports of one driver.

    Args:
        node: the driver.
        sources: names of the nodes that may command its hand.
        strict: it obeys no other node.
    """

    def __init__(self, node: Node, sources: Sequence[str], strict: bool) -> None:
        self._node, self._sources, self._strict = node, sources, strict
        self._diagnostics = Diagnostics(node)
        self._problems: tuple[str, ...] = ()
        self._counts: dict[str, int] = {}
        self._told_at = 0.0

    def has_news(self, health: StationStatus) -> bool:
        """Whether something happened to the motors that cannot wait for the next second."""
        news = health.problems != self._problems or dict(health.counts) != self._counts
        return news and time.monotonic() - self._told_at >= NEWS_PERIOD

    def tell_idle(self, why: str) -> None:
        """Tell that the driver does not drive; with why, if it should."""
        self._diagnostics.publish(ERROR if why else WARN, why or NOT_ACTIVE, {})

    def tell(
        self, backend: ClampedBackend, pace: Pace, health: StationStatus | None, malformed: int
    ) -> None:
        """Tell how the station is, and who else sends commands.

        Args:
            backend: what is driven.
            pace: how time goes on.
            health: of the motors; None: they are simulated.
            malformed: commands that were refused so far.
        """
        self._problems = () if health is None else health.problems
        self._counts = {} if health is None else dict(health.counts)
        self._told_at = time.monotonic()
        topic = self._node.resolve_topic_name(topics.HAND_COMMANDS)
        senders = [info.node_name for info in self._node.get_publishers_info_by_topic(topic)]
        strangers = ", ".join(strangers_among(senders, self._sources))
        counts: dict[str, object] = {
            "commands_clamped": backend.clamped,
            "targets_dropped": backend.dropped,
            "commands_malformed": malformed,
            "commands_stale": pace.stale,
            "strange_command_sources": strangers,
        }
        if isinstance(pace, RealPace):
            late = percentile_ms(pace.period_errors(), 99)
            counts["period_error_p99_ms"] = f"{late:.3f}"
            counts["commands_overruled"] = pace.overruled
        counts |= self._counts
        if self._problems:
            self._diagnostics.publish(ERROR, "; ".join(self._problems), counts)
        elif warning := _warning(strangers, self._strict, pace):
            self._node.get_logger().warning(warning, throttle_duration_sec=10.0)
            self._diagnostics.publish(WARN, warning, counts)
        else:
            notes = "; ".join(health.notes) if health is not None else ""
            self._diagnostics.publish(WARN if notes else OK, notes or "driving", counts)


def _warning(strangers: str, strict: bool, pace: Pace) -> str:
    """Return what is wrong with the commands; empty if nothing is."""
    if strangers and strict:
        return f"commands from {strangers} are refused: not in command_sources"
    if strangers:
        return f"commands also come from {strangers}"
    if isinstance(pace, RealPace) and (silence := pace.silence()):
        return (
            f"the controllers sent no command for {silence:.1f} s and the hand is held, then let "
            "go: set trigger_joint_command_threshold to -1, or restart them"
        )
    return ""
