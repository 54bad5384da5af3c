"""Ask a node for something that takes time, and be asked; the node may die and be started again.

DDS notices a dead process only after many seconds, and a goal sent to it is never answered. So
every node that serves actions announces itself with a name that no earlier process had; who waits
for it sees at once that it was replaced, and asks anew.
"""

import re
import uuid
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from std_msgs.msg import String

from handlab_core.errors import HandlabError, StationFault
from handlab_nodes import qos
from handlab_nodes.inbox import Inbox
from handlab_nodes.spinner import Spinner

PATIENCE = 600.0
"""s of wall time to wait for a node that is not there: long enough for a person to restart it."""

RESULT_KEPT = 1.0
"""s, that the result of a goal is kept for who has not asked for it yet. Every message of an
action's status lists all goals that are kept; rclpy's 900 s are thousands of resets, and to read
such a list takes longer than a reset."""


class Cancelled(HandlabError):  # noqa: N818  (the client's wish, not an error)
    """The client does not want the rest."""


def started(topic: str) -> str:
    """Topic on which the server of an action announces itself."""
    return f"{topic}/started"


def announce(node: Node, topic: str) -> None:
    """Tell that this process is now the server of an action."""
    publisher = node.create_publisher(String, started(topic), qos.LATCHED)
    publisher.publish(String(data=uuid.uuid4().hex))


class Worker:
    """The server of an action whose goals the node's main loop carries out, one at a time.

    A callback may not wait, and a coroutine that waits is called again and again by the executor
    until it is done, which takes a whole core. So a goal is only noted here; the executor hears of
    it when its result is there.

    Args:
        node: serves.
        action: type of the action.
        topic: name of the action.
        free: whether another goal may be taken.
    """

    def __init__(self, node: Node, action: Any, topic: str, free: Callable[[], bool]) -> None:
        self.goal: ServerGoalHandle | None = None
        self._server = ActionServer(
            node,
            action,
            topic,
            execute_callback=lambda _: None,  # every goal is given its own when it is finished
            goal_callback=lambda _: GoalResponse.ACCEPT if free() else GoalResponse.REJECT,
            handle_accepted_callback=self._accept,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            result_timeout=RESULT_KEPT,
        )

    def finish(self, result: Any, success: bool) -> None:
        """End the goal with a result; without success it was cancelled, if that was wanted."""
        handle, self.goal = self.goal, None
        assert handle is not None

        def end(_: ServerGoalHandle) -> Any:
            if success:
                handle.succeed()
            elif handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
            return result

        handle.execute(end)

    def _accept(self, handle: ServerGoalHandle) -> None:
        self.goal = handle


class Asker:
    """A client of one action.

    Args:
        node: asks.
        spinner: spins it.
        action: type of the action.
        topic: name of the action.
    """

    def __init__(self, node: Node, spinner: Spinner, action: Any, topic: str) -> None:
        self._spinner, self._topic, self._server = spinner, topic, ""
        self._client = ActionClient(node, action, topic)
        Inbox.of(node).subscribe(
            String, started(topic), _read_started, self._on_started, qos.LATCHED
        )

    def ask(self, goal: Any, timeout: float) -> Any:
        """Send a goal and wait for its result.

        Args:
            goal: of the action.
            timeout: s of wall time that it may take.

        Returns:
            The result, or None if the server was replaced meanwhile: what it was to do may be half
            done.

        Raises:
            StationFault: the server refused.
            StationTimeout: it took too long.
        """
        spinner, topic = self._spinner, self._topic
        spinner.wait(lambda: self._server != "", f"a node that serves {topic}", PATIENCE)
        spinner.wait(self._client.server_is_ready, f"the action server of {topic}", PATIENCE)
        asked = self._server

        def replaced() -> bool:
            return self._server != asked

        sending = self._client.send_goal_async(goal)
        spinner.wait(lambda: sending.done() or replaced(), f"an answer to {topic}", PATIENCE)
        if replaced():
            return None
        handle = sending.result()
        if not handle.accepted:
            raise StationFault(f"{topic} was refused; another client is using it")
        ending = handle.get_result_async()
        spinner.wait(lambda: ending.done() or replaced(), f"the result of {topic}", timeout)
        return None if replaced() else ending.result().result

    def _on_started(self, server: str) -> None:
        self._server = server


def _read_started(data: bytes) -> str:
    """Read the name of a server's process; ValueError if it is no name."""
    name = str(deserialize_message(data, String).data)
    if not re.fullmatch("[0-9a-f]{32}", name):
        raise ValueError(f"{name[:40]!r} is no name of a process")
    return name
