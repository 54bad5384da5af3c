"""Action clients and servers of rclpy in which no message of a stranger ends the process.

rclpy 7.1 raises where a second server of the same name accepts a goal, and where a client leaves
before its answer. `EventsExecutor` carries both out as tasks, and reads a null pointer where a task
raises (https://github.com/ros2/rclpy/issues/1641): the process dies by SIGSEGV.
"""

from typing import Any

from rclpy.action import ActionClient, ActionServer
from rclpy.node import Node
from rclpy.waitable import Waitable


class _Safe(Waitable):
    """Client or server that drops a message which it cannot use, and reports it."""

    def __init__(self, node: Node, action_type: Any, action_name: str, **options: Any) -> None:
        super().__init__(node, action_type, action_name, **options)  # type: ignore[call-arg]
        self._reported = node.get_logger(), action_name

    async def execute(self, taken_data: Any) -> None:
        """Carry out a message; see `rclpy.waitable.Waitable`."""
        try:
            await super().execute(taken_data)
        except Exception as problem:
            logger, action = self._reported
            logger.warning(  # a stranger may send at any rate
                f"dropped a message of the action {action}: {problem}", throttle_duration_sec=5.0
            )


class SafeActionClient(_Safe, ActionClient):
    """Client of an action that survives a second server; the first answer counts."""


class SafeActionServer(_Safe, ActionServer):
    """Server of an action that survives a client which leaves at any moment."""
