"""Action clients and servers that survive the restart of a node.

DDS notices a dead process only after many seconds, and a goal sent to it is never answered. So
every node that serves actions announces itself with a name that no earlier process had. A client
that waits for a result notices the new name at once, and sends its goal again.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from action_msgs.msg import GoalStatus, GoalStatusArray
from rclpy.action import CancelResponse, GoalResponse
from rclpy.action.client import ClientGoalHandle
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.task import Future
from std_msgs.msg import String
from unique_identifier_msgs.msg import UUID

from handlab_core.errors import HandlabError, StationFault
from handlab_nodes.driver.driver_monitor import DriverMonitor
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.event_loop import ANSWER, EventLoop
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.safe_actions import SafeActionClient, SafeActionServer

PATIENCE = 600.0
"""Seconds of wall time; longest wait for a missing node. A person has time to restart it."""

RESULT_KEPT = 5.0
"""Seconds; a goal's result is kept for clients that have not requested it yet, which takes a busy
machine over a second. Every message of an
action's status lists all kept goals. With rclpy's default of 900 s the list has thousands of
resets, and reading it takes longer than a reset."""

BUSY = 600.0
"""Seconds of wall time; longest wait for a server that another client uses."""

RETRY = 0.2
"""Seconds between two attempts."""

KNOWN = 1.0
"""Seconds; longest wait for the word of a server that it does not know a goal."""

OWN_GOAL = b"hndlb"
"""First bytes of the identity of every goal that a node of the graph sends to another."""

UNDER_WAY = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)


class Cancelled(HandlabError):  # noqa: N818  (the client's wish, not an error)
    """The client has cancelled its goal."""


def announce(node: Node, topic: str) -> None:
    """Announce this process as the server of an action."""
    publisher = node.create_publisher(String, topics.started(topic), qos.LATCHED)
    publisher.publish(String(data=uuid.uuid4().hex))


Check = Callable[[Any], None]
"""Checks a goal; raises HandlabError for one that cannot be carried out."""


class GoalServer:
    """Action server whose goals the node's main loop carries out, one at a time.

    A callback must not wait. A coroutine that waits is called by the executor again and again,
    which takes a whole core. So the callback only stores the goal, and the executor gets it
    together with its result.

    A goal that cannot be carried out is accepted and aborted at once, because a rejection has no
    room for a reason. While an outer action is under way, only its goals are carried out: the goal
    of another client is aborted, too.

    Args:
        node: owner of the server.
        action: type of the action.
        topic: name of the action.
        free: whether the node can take another goal.
        check: raises HandlabError for a goal that cannot be carried out.
        within: names of the outer actions, whose nodes send goals here by
            `RestartSafeActionClient`.
        watch: ends goals when a driver is not active, and lets goals begin only after an emergency
            stop has ended; None: the action needs no driver.
    """

    def __init__(
        self,
        node: Node,
        action: Any,
        topic: str,
        free: Callable[[], bool],
        check: Check = lambda goal: None,
        within: Sequence[str] = (),
        watch: DriverMonitor | None = None,
    ) -> None:
        self.goal: ServerGoalHandle | None = None
        self._cancelled = False  # whether a client wanted to cancel the goal
        self._node, self._action, self._topic = node, action, topic
        self._check, self._watch = check, watch
        self._under_way: dict[str, bool] = {}
        for outer in within:
            self._follow(outer)
        self._server = SafeActionServer(
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
        """Carry out the goal and end it; a cancellation ends every wait of `job`.

        Args:
            loop: event loop of the node.
            result: result of the action; `job` fills it in. `message` gets the reason of an early
                end.
            job: called with the goal's handle; may raise HandlabError.

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
                if self._watch is not None and self._watch.stopped:
                    self._watch.await_engaged(loop)
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
        """Raise Cancelled after a cancellation; see `DriverMonitor.check` for faults of drivers."""
        if self._cancelled and self.goal is not None and self.goal.is_cancel_requested:
            raise Cancelled
        if self._watch is not None:
            self._watch.check()

    def finish(self, result: Any, success: bool) -> None:
        """End the goal with a result: succeeded, else canceled on request, else aborted."""
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
        """Follow whether an outer action is under way."""

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
    """End a goal with a result."""

    def end(_: ServerGoalHandle) -> Any:
        if success:
            handle.succeed()
        elif handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()
        return result

    handle.execute(end)


Until = Callable[[Callable[[], bool]], None]
"""Handles events until a condition holds; raises what ends the wait earlier."""


def deliver(
    client: SafeActionClient,
    action: Any,
    goal: Any,
    until: Until,
    on_feedback: Callable[[Any], None] | None = None,
    given_up: Callable[[], bool] = lambda: False,
) -> tuple[ClientGoalHandle, Future] | None:
    """Send a goal until the server has answered.

    A server's answer is lost while DDS has not shown it the client's reader: rmw_fastrtps then says
    "client will not receive response". The client would wait for ever although the goal is carried
    out. So the goal is sent again under the same identity, which a server accepts once only. A
    repeated goal that is refused is under way, unless the server does not know its result.

    Args:
        client: client of the action, whose server is ready.
        action: type of the action.
        goal: goal of the action.
        until: waits; its exceptions cancel the goal.
        on_feedback: gets the feedback of the goal.
        given_up: whether the answer is not needed any more.

    Returns:
        Handle of the goal and future of its result; None: the goal was refused, or `given_up`.
    """
    goal_id = UUID(uuid=list(OWN_GOAL + uuid.uuid4().bytes[len(OWN_GOAL) :]))
    sent: list[Future] = []
    try:
        while not any(sending.done() for sending in sent):
            sent.append(client.send_goal_async(goal, on_feedback, goal_id))
            _until_any(sent, until, given_up, ANSWER)
            if given_up():
                return None
        answers = [sending.result() for sending in sent if sending.done()]
        if accepted := [handle for handle in answers if handle.accepted]:
            return accepted[0], accepted[0].get_result_async()
        if sent[0].done():
            return None
        answer = action.Impl.SendGoalService.Response(accepted=True)
        handle = ClientGoalHandle(client, goal_id, answer)
        ending = handle.get_result_async()
        _until_any([ending], until, given_up, KNOWN)
    except (HandlabError, KeyboardInterrupt):
        for sending in sent:
            sending.add_done_callback(_cancel)
        raise
    if ending.done() and ending.result().status == GoalStatus.STATUS_UNKNOWN:
        return None
    return handle, ending


def _until_any(
    futures: Sequence[Future], until: Until, given_up: Callable[[], bool], seconds: float
) -> None:
    """Wait for the first of some futures, at most for some seconds."""
    end = time.monotonic() + seconds
    until(lambda: any(f.done() for f in futures) or given_up() or time.monotonic() > end)


class RestartSafeActionClient:
    """Client of one action, which notices that the server was restarted.

    Args:
        node: owner of the client.
        loop: event loop of the node.
        action: type of the action.
        topic: name of the action.
    """

    def __init__(self, node: Node, loop: EventLoop, action: Any, topic: str) -> None:
        self._node, self._loop, self._topic, self._server = node, loop, topic, ""
        self._action, self._client = action, SafeActionClient(node, action, topic)
        Inbox.of(node).subscribe(
            String, topics.started(topic), _read_started, self._on_started, qos.LATCHED
        )

    def ask(self, goal: Any, timeout: float) -> Any:
        """Send a goal and wait for its result.

        Args:
            goal: goal of the action.
            timeout: s of wall time; longest wait for the result.

        Returns:
            The result, or None if the server was replaced meanwhile: the goal may be half carried
            out.

        Raises:
            StationFault: the server refused for BUSY.
            StationTimeout: the timeout passed.
        """
        with self.sent(goal) as pending:
            pending.wait(timeout)
            return pending.result()

    @contextmanager
    def sent(self, goal: Any) -> "Iterator[PendingGoal]":
        """Send a goal; cancel it if the context ends before the goal does.

        Args:
            goal: goal of the action.

        Raises:
            StationFault: the server refused for BUSY.
        """
        loop, topic = self._loop, self._topic
        loop.wait(lambda: self._server != "", f"a node that serves {topic}", PATIENCE)
        loop.wait(self._client.server_is_ready, f"the action server of {topic}", PATIENCE)
        asked = self._server

        def replaced() -> bool:
            return self._server != asked

        handle, ending = self._send(goal, replaced) or (None, None)
        served = self._client.server_is_ready
        pending = PendingGoal(loop, topic, ending, replaced, served)
        try:
            yield pending
        except (HandlabError, GeneratorExit):
            if handle is not None:
                handle.cancel_goal_async()  # its result is not needed any more
            raise

    def _send(
        self, goal: Any, replaced: Callable[[], bool]
    ) -> tuple[ClientGoalHandle, Future] | None:
        """Send a goal until it is accepted; see `deliver`; None: the server changed."""
        loop, topic = self._loop, self._topic
        began = time.monotonic()

        def until(done: Callable[[], bool]) -> None:
            loop.wait(done, f"an answer to {topic}", PATIENCE)

        while True:
            sent = deliver(self._client, self._action, goal, until, given_up=replaced)
            if sent is not None or replaced():
                return sent
            if time.monotonic() - began > BUSY:
                raise StationFault(f"{topic} was refused for {BUSY:.0f} s; another client uses it")
            self._node.get_logger().warning(
                f"{topic} is in use by another client; waiting", throttle_duration_sec=5.0
            )
            loop.rest(RETRY)

    def _on_started(self, server: str) -> None:
        self._server = server


class PendingGoal:
    """A goal that was sent.

    Args:
        loop: event loop of the node that sent the goal.
        topic: name of the action.
        ending: future of the result; None: the server was replaced before it accepted the goal.
        replaced: whether another process serves the action now.
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
        """Whether the goal has a result, or will never have one: its server was replaced."""
        return self._ending is None or self._ending.done() or self._replaced()

    def wait(
        self,
        timeout: float,
        until: Callable[[], bool] = lambda: False,
        held: Callable[[], bool] = lambda: False,
    ) -> None:
        """Handle events until the goal has ended; warn while no process serves the action.

        Args:
            timeout: s of wall time; longest wait.
            until: condition that ends the wait earlier.
            held: condition in which time does not count; see `EventLoop.wait`.

        Raises:
            StationTimeout: the timeout passed.
        """
        what = f"the result of {self._topic}"
        missing = lambda: not self._served()  # noqa: E731  (an accepted goal takes its time)
        self._loop.wait(lambda: self.ended or until(), what, timeout, missing, held)

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
    """Read the name of a server's process; ValueError for other text."""
    name = str(deserialize_message(data, String).data)
    if not re.fullmatch("[0-9a-f]{32}", name):
        raise ValueError(f"{name[:40]!r} is no name of a process")
    return name
