"""Action clients and servers of rclpy in which no message of a stranger ends the process.

rclpy 7.1 raises where a second server of the same name accepts a goal, and where a client leaves
before its answer. `EventsExecutor` carries both out as tasks, and reads a null pointer where a task
raises (https://github.com/ros2/rclpy/issues/1641): the process dies by SIGSEGV.
"""

from typing import Any

from rclpy.action import ActionClient, ActionServer
from rclpy.node import Node


class SafeActionClient(ActionClient):
    """Client of an action that survives a second server; the first answer counts."""

    def __init__(self, node: Node, action_type: Any, action_name: str) -> None:
        super().__init__(node, action_type, action_name)

    async def execute(self, taken_data: Any) -> None:
        """Take an answer; report one that cannot be used."""
        try:
            await super().execute(taken_data)
        except Exception as problem:
            _report(self._node, self._action_name, problem)


class SafeActionServer(ActionServer):
    """Server of an action that survives a client which leaves at any moment."""

    def __init__(self, node: Node, action_type: Any, action_name: str, **options: Any) -> None:
        super().__init__(node, action_type, action_name, **options)
        self._served = action_name

    async def execute(self, taken_data: Any) -> None:
        """Take a request; report one that cannot be answered."""
        try:
            await super().execute(taken_data)
        except Exception as problem:
            _report(self._node, self._served, problem)


def _report(node: Node, action: str, problem: Exception) -> None:
    """Warn, at most every five seconds: a stranger may send at any rate."""
    node.get_logger().warning(
        f"dropped a message of the action {action}: {problem}", throttle_duration_sec=5.0
    )
