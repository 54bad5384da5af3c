"""Ask a node for something that takes time, and be asked; the node may die and be started again.

DDS notices a dead process only after many seconds, and a goal sent to it is never answered. So
every node that serves actions announces itself with a name that no earlier process had; who waits
for it sees at once that it was replaced, and asks anew.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from action_msgs.msg import GoalStatus, GoalStatusArray
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.task import Future
from std_msgs.msg import String
from unique_identifier_msgs.msg import UUID

from handlab_core.errors import HandlabError, StationFault
from handlab_nodes.driver.active_watch import DriverWatch
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.event_loop import EventLoop
from handlab_nodes.runtime.inbox import Inbox

PATIENCE = 600.0
"""s of wall time to wait for a node that is not there: long enough for a person to restart it."""

RESULT_KEPT = 1.0
"""s, that the result of a goal is kept for who has not asked for it yet. Every message of an
action's status lists all goals that are kept; rclpy's 900 s are thousands of resets, and to read
such a list takes longer than a reset."""


BUSY = 600.0
"""Seconds of wall time to wait for a server that another client uses."""

RETRY = 0.2
"""Seconds between two attempts."""

OWN_GOAL = b"hndlb"
"""First bytes of the identity of every goal that a node of the graph sends to another."""

UNDER_WAY = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)


class Cancelled(HandlabError):  # noqa: N818  (the client's wish, not an error)
    """The client does not want the rest."""


def announce(node: Node, topic: str) -> None:
    """Tell that this process is now the server of an action."""
    publisher = node.create_publisher(String, topics.started(topic), qos.LATCHED)
    publisher.publish(String(data=uuid.uuid4().hex))


Check = Callable[[Any], None]
"""Is given a goal; raises HandlabError if it cannot be carried out."""


class GoalServer:
    """The server of an action whose goals the node's main loop carries out, one at a time.

    A callback may not wait, and a coroutine that waits is called again and again by the executor
    until it is done, which takes a whole core. So a goal is only noted here; the executor hears of
    it when its result is there.

    A goal that cannot be carried out is accepted and aborted at once, because a rejection has no
    room for a reason. While an action that asks for this one is under way, its goals are the only
    ones: another client's is aborted, too.

    Args:
        node: serves.
        action: type of the action.
        topic: name of the action.
        free: whether another goal may be taken.
        check: refuses goals.
        within: names of the actions whose nodes send goals here, as `RestartSafeActionClient` does.
        watch: ends goals when a driver is not active; None: no driver is needed.
    """

    def __init__(
        self,
        node: Node,
        action: Any,
        topic: str,
        free: Callable[[], bool],
        check: Check = lambda goal: None,
        within: Sequence[str] = (),
        watch: DriverWatch | None = None,
    ) -> None:
        self.goal: ServerGoalHandle | None = None
        self._cancelled = False  # whether a client wanted to cancel the goal
        self._node, self._action, self._topic = node, action, topic
        self._check, self._watch = check, watch
        self._under_way: dict[str, bool] = {}
        for outer in within:
            self._follow(outer)
        self._server = ActionServer(
            node,
            action,
            topic,
            execute_callback=lambda _: None,  # every goal is given its own when it is finished
            goal_callback=lambda _: GoalResponse.ACCEPT if free() else GoalResponse.REJECT,
            handle_accepted_callback=self._accept,
            cancel_callback=self._cancel,
            result_timeout=RESULT_KEPT,
        )

    def carry_out(self, loop: EventLoop, result: Any, job: Callable[[Any], None]) -> bool:
        """Do what the goal asks for and end it; every wait of `job` ends when it is cancelled.

        Args:
            loop: of the node.
            result: of the action; `job` fills it in, and `message` says why it ended early.
            job: is given the goal's handle; may raise HandlabError.

        Returns:
            Whether the job was done.
        """
        handle, success = self.goal, False
        assert handle is not None
        if self._watch is not None:
            self._watch.begin()
        try:
            with loop.interrupted_by(self.interrupt):
                self.interrupt()
                job(handle)
            success = True
        except Cancelled as cancelled:
            result.message = str(cancelled) or "cancelled"
        except HandlabError as error:
            result.message = str(error)
            self._node.get_logger().error(result.message)
        if hasattr(result, "success"):
            result.success = success
        self.finish(result, success)
        return success

    def interrupt(self) -> None:
        """Raise Cancelled if the client wants no more, StationFault if a driver is not active."""
        if self._cancelled and self.goal is not None and self.goal.is_cancel_requested:
            raise Cancelled
        if self._watch is not None:
            self._watch.check()

    def finish(self, result: Any, success: bool) -> None:
        """End the goal with a result; without success it was cancelled, if that was wanted."""
        handle, self.goal = self.goal, None
        assert handle is not None
        _end(handle, result, success)

    def _accept(self, handle: ServerGoalHandle) -> None:
        try:
            self._refuse_strangers(bytes(handle.goal_id.uuid))
            self._check(handle.request)
        except HandlabError as error:
            refusal = f"refused a goal of {self._topic}: {error}"
            self._node.get_logger().warning(refusal, throttle_duration_sec=1.0)
            _end(handle, self._action.Result(message=str(error)), False)
        else:
            self.goal, self._cancelled = handle, False

    def _cancel(self, _: object) -> CancelResponse:
        """Accept a cancellation; to ask the goal's handle after every event takes too long."""
        self._cancelled = True
        return CancelResponse.ACCEPT

    def _refuse_strangers(self, goal_id: bytes) -> None:
        busy = [outer for outer, under_way in self._under_way.items() if under_way]
        if busy and not goal_id.startswith(OWN_GOAL):
            raise StationFault(f"{self._topic} is in use by {busy[0]}, which is under way")

    def _follow(self, outer: str) -> None:
        """Notice whether an action is under way."""

        def read(message: GoalStatusArray) -> bool:
            return any(status.status in UNDER_WAY for status in message.status_list)

        def note(under_way: bool) -> None:
            self._under_way[outer] = under_way

        decode, topic = convert.decoder(GoalStatusArray, read), f"{outer}/_action/status"
        senders = topics.SERVERS[outer]
        Inbox.of(self._node).subscribe(
            GoalStatusArray, topic, decode, note, qos.LATCHED, senders=senders
        )


def _end(handle: ServerGoalHandle, result: Any, success: bool) -> None:
    """Give a goal its result."""

    def end(_: ServerGoalHandle) -> Any:
        if success:
            handle.succeed()
        elif handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()
        return result

    handle.execute(end)


class RestartSafeActionClient:
    """A client of one action.

    Args:
        node: asks.
        loop: spins it.
        action: type of the action.
        topic: name of the action.
    """

    def __init__(self, node: Node, loop: EventLoop, action: Any, topic: str) -> None:
        self._node, self._loop, self._topic, self._server = node, loop, topic, ""
        self._client = ActionClient(node, action, topic)
        Inbox.of(node).subscribe(
            String, topics.started(topic), _read_started, self._on_started, qos.LATCHED
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
            StationFault: the server refused for BUSY.
            StationTimeout: it took too long.
        """
        with self.sent(goal) as pending:
            pending.wait(timeout)
            return pending.result()

    @contextmanager
    def sent(self, goal: Any) -> "Iterator[PendingGoal]":
        """Send a goal; cancel it where the context ends before the goal does.

        Args:
            goal: of the action.

        Raises:
            StationFault: the server refused for BUSY.
        """
        loop, topic = self._loop, self._topic
        loop.wait(lambda: self._server != "", f"a node that serves {topic}", PATIENCE)
        loop.wait(self._client.server_is_ready, f"the action server of {topic}", PATIENCE)
        asked = self._server

        def replaced() -> bool:
            return self._server != asked

        handle = self._send(goal, replaced)
        ending = None if handle is None else handle.get_result_async()
        served = self._client.server_is_ready
        pending = PendingGoal(loop, topic, ending, replaced, served)
        try:
            yield pending
        except (HandlabError, GeneratorExit):
            if handle is not None:
                handle.cancel_goal_async()  # nothing here wants its result any more
            raise

    def _send(self, goal: Any, replaced: Callable[[], bool]) -> Any:
        """Send a goal until it is accepted; return its handle, or None if the server changed."""
        loop, topic = self._loop, self._topic
        began = time.monotonic()
        while True:
            goal_id = UUID(uuid=list(OWN_GOAL + uuid.uuid4().bytes[len(OWN_GOAL) :]))
            sending = self._client.send_goal_async(goal, goal_uuid=goal_id)
            self._await(sending, replaced)
            if replaced():
                return None
            if sending.result().accepted:
                return sending.result()
            if time.monotonic() - began > BUSY:
                raise StationFault(f"{topic} was refused for {BUSY:.0f} s; another client uses it")
            self._node.get_logger().warning(
                f"{topic} is in use by another client; waiting", throttle_duration_sec=5.0
            )
            loop.rest(RETRY)

    def _await(self, sending: Future, replaced: Callable[[], bool]) -> None:
        """Wait for the answer to a goal; if that is interrupted, cancel the goal."""

        def done() -> bool:
            return sending.done() or replaced()

        try:
            self._loop.wait(done, f"an answer to {self._topic}", PATIENCE)
        except HandlabError:
            sending.add_done_callback(_cancel)
            raise

    def _on_started(self, server: str) -> None:
        self._server = server


class PendingGoal:
    """A goal that was sent.

    Args:
        loop: of the node that sent it.
        topic: name of the action.
        ending: future of the result; None if the server was replaced before it accepted the goal.
        replaced: whether another process serves the action since.
        served: whether any process serves the action.
    """

    def __init__(
        self,
        loop: EventLoop,
        topic: str,
        ending: Future | None,
        replaced: Callable[[], bool],
        served: Callable[[], bool],
    ) -> None:
        self._loop, self._topic, self._ending = loop, topic, ending
        self._replaced, self._served = replaced, served

    @property
    def ended(self) -> bool:
        """Whether the goal has a result, or will never have one."""
        return self._ending is None or self._ending.done() or self._replaced()

    def wait(self, timeout: float, until: Callable[[], bool] = lambda: False) -> None:
        """Handle events until the goal has ended; warn while no process serves the action.

        Args:
            timeout: s of wall time; longest wait.
            until: condition that ends the wait earlier.

        Raises:
            StationTimeout: the timeout passed.
        """
        what = f"the result of {self._topic}"
        missing = lambda: not self._served()  # noqa: E731  (an accepted goal takes its time)
        self._loop.wait(lambda: self.ended or until(), what, timeout, missing)

    def result(self) -> Any:
        """Return the result of a goal that has ended; None if the server was replaced."""
        if self._ending is None or self._replaced():
            return None
        return self._ending.result().result


def _cancel(sending: Any) -> None:
    """Cancel a goal as soon as it is accepted."""
    if sending.result() is not None and sending.result().accepted:
        sending.result().cancel_goal_async()


def _read_started(data: bytes) -> str:
    """Read the name of a server's process; ValueError if it is no name."""
    name = str(deserialize_message(data, String).data)
    if not re.fullmatch("[0-9a-f]{32}", name):
        raise ValueError(f"{name[:40]!r} is no name of a process")
    return name
