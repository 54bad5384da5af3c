"""The event loop of every process: one executor, spun from the main loop and never from a callback.

`EventsExecutor` wakes on events instead of scanning all entities, which makes a round trip through
the graph several times faster than rclpy's default executor. It is driven by `spin_once`, so that a
node can act between events, and stops from outside.
"""

import faulthandler
import gc
import inspect
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from handlab_core.errors import HandlabError, StationTimeout
from handlab_core.system.domain_locks import visiting
from handlab_core.system.lifeline import REFUSED, end_with_supervisors, leave
from handlab_core.system.scheduling import use_batch_scheduling
from handlab_nodes.runtime.parameters import refuse_malformed

POLL = 0.2
"""Seconds; longest time until the loop notices a stop from outside."""

PARTING = 6
"""Seconds; time for an orderly end, after which the process is killed; see `run`."""

REMIND = 5.0
"""Seconds; period of the warnings of a wait whose object is missing."""

ANSWER = 3.0
"""Seconds without an answer after which a request is sent again; see `EventLoop.ask`."""

REPORT_PERIOD = 1.0
"""Seconds between the reports of a node; REP 107 publishes diagnostics at 1 Hz."""

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Each asks a node process to end in order; a closed terminal sends the last."""


class Stopped(Exception):  # noqa: N818  (not an error: the process is asked to end)
    """This process is asked to end."""


class EndRequest:
    """Remembers whether a signal asked this process to end.

    A signal only sets a flag here, which the event loop reads. rclpy's own handlers would shut the
    context down from another thread while threads publish. Python's handler would raise
    KeyboardInterrupt anywhere in the main thread, also in the middle of an orderly end.
    """

    def __init__(self) -> None:
        self.made = False

    def listen(self) -> None:
        """Handle the end signals until the process ends; signals ignored by nohup stay ignored."""
        for number in END_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def _on_signal(self, *_: object) -> None:
        self.made = True

    def ignore_more(self) -> None:
        """Ignore further signals during an orderly end and the interpreter's finalization."""
        for number in END_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


end_request = EndRequest()
"""Request to end this process."""


class SafeExecutor(rclpy_implementation.EventsExecutor):  # type: ignore[misc]  # made in C++
    """rclpy's `EventsExecutor`, in which a task that fails does not end the process by SIGSEGV.

    That of rclpy 7.1 reads a null pointer then (https://github.com/ros2/rclpy/issues/1641).

    Args:
        context: of rclpy.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.failures: list[Exception] = []
        """Exceptions of tasks that have not been raised yet."""
        context.on_shutdown(self.wake)

    def create_task(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """See `rclpy.executors.Executor.create_task`; a failure is kept in `failures`."""

        def plain(*args: Any, **kwargs: Any) -> Any:
            with self._keeping():
                return callback(*args, **kwargs)

        async def waiting(*args: Any, **kwargs: Any) -> Any:
            with self._keeping():
                return await callback(*args, **kwargs)

        kept = waiting if inspect.iscoroutinefunction(callback) else plain
        return super().create_task(kept, *args, **kwargs)

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        try:
            yield
        except Exception as problem:
            self.failures.append(problem)


class EventLoop:
    """An executor with ways to wait.

    A node may have two methods. `work(loop)` is called after every event, and may itself wait
    for events; meanwhile the other nodes of this process work on. `report()` is called once a
    second.

    Args:
        nodes: to be spun; destroyed at the end.
        context: of rclpy; None is the default one.
    """

    def __init__(self, *nodes: Node, context: Context | None = None) -> None:
        self.nodes, self._context = list(nodes), context or rclpy.get_default_context()
        self._works = [work for node in nodes if (work := getattr(node, "work", None))]
        self._reports = [report for node in nodes if (report := getattr(node, "report", None))]
        self._next_report = time.monotonic()
        self._working: list[Callable[[EventLoop], None]] = []
        faulthandler.enable()  # a fault in C++ shows where Python was
        self.executor = SafeExecutor(self._context)
        self._interrupts: list[tuple[int, Callable[[], None]]] = []  # depth of work, check
        for node in nodes:
            self.executor.add_node(node)
        for node in nodes:
            refuse_malformed(node)

    def __enter__(self) -> "EventLoop":
        """Return the loop."""
        return self

    def __exit__(self, *_: object) -> None:
        """Destroy the nodes."""
        self.close()

    def close(self) -> None:
        """Let the nodes and the executor go, and with them the DDS participant.

        A node's own `release()`, if it has one, comes first: it joins the node's threads, so that
        none of them publishes while anything is destroyed.

        Nodes are destroyed here rather than when the interpreter ends, in whatever order it
        likes. Two things would keep the participant. The executor is made in C++, where
        Python's garbage collector does not see a circle of references (node, callback,
        loop, executor). And a node does not destroy its action clients and servers.
        """
        for node in self.nodes:
            if (release := getattr(node, "release", None)) is not None:
                release()
        for node in self.nodes:
            self.executor.remove_node(node)
            actions: list[Any] = list(node.waitables)  # their base class declares no destroy
            for action in actions:
                action.destroy()
            for companion in getattr(node, "companions", ()):
                companion.destroy_node()
            node.destroy_node()
            # A lifecycle node's state machine has a publisher and services of its own, in C++,
            # which keep the participant. Left to the interpreter's end, the participant is deleted
            # by an exit handler while its threads run, which corrupts memory.
            vars(node).pop("_state_machine", None)
        self.nodes.clear()
        self.executor.shutdown()
        del self.executor

    def once(self, timeout: float = POLL) -> None:
        """Handle one event, if one comes in time, and let the nodes work.

        Args:
            timeout: s.

        Raises:
            Stopped: the process is asked to end.
        """
        if end_request.made:
            raise Stopped
        for node in self.nodes:
            inbox = getattr(node, "inbox", None)
            if inbox is not None and inbox.waiting:
                timeout = min(timeout, inbox.settle())
        try:
            self.executor.spin_once(timeout_sec=timeout)
        except ExternalShutdownException:
            raise Stopped from None
        if self.executor.failures:
            raise self.executor.failures.pop()
        for work in self._works:
            if work not in self._working:  # else it waits for the event that came
                self._working.append(work)
                try:
                    work(self)
                finally:
                    self._working.pop()
        if self._reports and time.monotonic() >= self._next_report:
            self._next_report = time.monotonic() + REPORT_PERIOD
            for report in self._reports:
                report()
        for depth, interrupt in self._interrupts:
            if depth == len(self._working):  # else it is for another node's wait
                interrupt()

    @contextmanager
    def interrupted_by(self, check: Callable[[], None]) -> Iterator[None]:
        """Call `check` after every event within the context; an exception of it ends the wait."""
        entry = len(self._working), check
        self._interrupts.append(entry)
        try:
            yield
        finally:
            self._interrupts.remove(entry)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Suspend all interruptions within the context: for steps that must happen in any case."""
        before, self._interrupts = self._interrupts, []
        try:
            yield
        finally:
            self._interrupts = before

    def rest(self, seconds: float) -> None:
        """Handle events for some time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.once(min(left, POLL))

    def wait(
        self,
        done: Callable[[], bool],
        what: str,
        timeout: float = 60.0,
        missing: Callable[[], bool] = lambda: True,
        held: Callable[[], bool] = lambda: False,
    ) -> None:
        """Handle events until `done()`.

        Args:
            done: condition that ends the wait; checked after each event.
            what: name of the awaited thing, for warnings and the error.
            timeout: s; longest wait.
            missing: condition of a warning every REMIND; False while the awaited thing is under
                way and takes its time.
            held: condition in which time does not count: a hand that cools, or that a person
                stopped.

        Raises:
            StationTimeout: the timeout passed.
            Stopped: the process is asked to end.
        """
        if done():
            return
        began = looked = time.monotonic()
        remind = began + REMIND
        while True:
            self.once()
            if done():
                return
            now = time.monotonic()
            if held():
                began += now - looked
            looked = now
            if now - began > timeout:
                raise StationTimeout(f"waited {timeout:.0f} s for {what}")
            if now > remind:
                remind = now + REMIND
                if missing():
                    self.nodes[0].get_logger().warning(f"still waiting for {what}")

    def ask(self, client: Client, request: Any, what: str, timeout: float = 60.0) -> Any:
        """Call a service until it answers, and return the answer; see `wait` for errors.

        A server's answer is lost while DDS has not shown it the client's reader (rmw_fastrtps:
        "client will not receive response"). So the request is sent again; call only services that
        may be called twice.

        Args:
            client: client of the service.
            request: request of the service.
            what: name of the service, for warnings and the error.
            timeout: s; longest wait for the service, and for its answer.
        """
        self.wait(client.service_is_ready, f"the service {what}", timeout)
        began, sent = time.monotonic(), list[Future]()

        def done() -> bool:
            if time.monotonic() >= began + ANSWER * len(sent):
                sent.append(client.call_async(request))
            return any(future.done() for future in sent)

        self.wait(done, f"an answer of {what}", timeout)
        return next(future.result() for future in sent if future.done())

    def result(self, future: Future, what: str, timeout: float = 60.0) -> Any:
        """Wait for a future and return its result; see `wait` for errors."""
        self.wait(future.done, what, timeout)
        return future.result()


@contextmanager
def guest(name: str, domain: int, simulated: bool = False) -> Iterator[tuple[Node, EventLoop]]:
    """Make a node of this process in a graph's domain, and its loop.

    The context is its own: Ctrl-C raises KeyboardInterrupt here as in any other program.

    Args:
        name: of the node; one that is not for people begins with an underscore.
        domain: ROS domain id of the graph.
        simulated: the node follows the graph's /clock.
    """
    context = Context()
    with visiting(domain):
        rclpy.init(context=context, domain_id=domain)
        try:
            time_source = Parameter("use_sim_time", value=simulated)
            node = rclpy.create_node(
                name, context=context, namespace="", parameter_overrides=[time_source]
            )
            with EventLoop(node, context=context) as loop:
                yield node, loop
        finally:
            context.try_shutdown()


@contextmanager
def _parting() -> Iterator[None]:
    """Limit the time of an orderly end by an alarm, which no lock and no GIL can delay."""
    try:
        yield
    finally:
        end_request.ignore_more()
        faulthandler.register(signal.SIGALRM, chain=True)
        signal.alarm(PARTING)


def run(*make_nodes: Callable[[], Node], args: list[str] | None = None) -> None:
    """Make nodes and spin them until this process is asked to end; see `EventLoop`.

    Processes with a node whose parameter `pace` is lockstep take turns.

    A process that hangs while it ends dies by SIGALRM and prints its stack. Fast DDS 2.14 may hang
    when a participant is deleted while another participant's leaving is announced: the deletion
    waits in `DomainParticipant::set_listener` for the listener's thread, in a loop that never
    releases the lock (about one in a thousand processes, on a machine with five times the load).
    """
    code = 0
    end_request.listen()
    end_with_supervisors()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        nodes = [make_node() for make_node in make_nodes]
        paced = [node.get_parameter("pace") for node in nodes if node.has_parameter("pace")]
        if any(pace.value == "lockstep" for pace in paced):
            use_batch_scheduling()
        gc.freeze()  # objects of the start stay; collecting among them would stop the world
        with EventLoop(*nodes) as loop, _parting():
            while True:
                loop.once()
    except (KeyboardInterrupt, Stopped, ExternalShutdownException):
        pass
    except HandlabError as error:
        print(error, file=sys.stderr, flush=True)
        code = REFUSED
    finally:
        end_request.ignore_more()
        rclpy.try_shutdown()
        signal.alarm(0)
    leave(code)
