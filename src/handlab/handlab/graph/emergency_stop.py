"""Emergency stop of a running graph, by the service of its drivers."""

import threading
import time
from collections.abc import Callable, Iterable

from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import SetBool

from handlab.graph.processes import Graph
from handlab_nodes.messages import topics

ANSWER_PATIENCE = 0.3
"""Seconds; a driver that has not answered by then is ended. Ctrl-C takes about as long: this
process notices it within 0.2 s, and the graph within another 0.1 s."""

SUSPENSION = 0.1
"""Seconds that a request gets to leave this process before it is suspended."""


class DriverSwitch:
    """Implements `handlab.operation.stop_key.Switch` by the services of drivers.

    Requests leave at once, from the thread of the caller; the thread that spins the node receives
    the answers.

    Args:
        node: of this process in the graph's domain; spun by another thread.
        drivers: names of the drivers.
    """

    def __init__(self, node: Node, drivers: Iterable[str]) -> None:
        self._clients = {
            driver: node.create_client(SetBool, topics.of_driver(driver, topics.EMERGENCY_STOP))
            for driver in drivers
        }

    @property
    def has_drivers(self) -> bool:
        """Whether there is anything that moves."""
        return bool(self._clients)

    def stop(self) -> str:
        """Ask every driver to release its motors; return how that was confirmed."""
        if not all(client.service_is_ready() for client in self._clients.values()):
            return self.break_off("a driver was not there yet")
        answers = [(driver, _ask(client, True)) for driver, client in self._clients.items()]
        end = time.monotonic() + ANSWER_PATIENCE
        for driver, (done, future) in answers:
            if not done.wait(max(0.0, end - time.monotonic())):
                return self.break_off(f"the {driver} did not answer")
            if not future.result().success:
                return self.break_off(f"the {driver} could not: {future.result().message}")
        return "confirmed"

    def break_off(self, reason: str) -> str:
        """Act on a driver that did not confirm; return the result in words."""
        return f"{reason}: NOT CONFIRMED, switch the power off"

    def engage(self, engaged: Callable[[str], None]) -> None:
        """See `Switch.engage`."""
        left = set(self._clients)

        def on_answer(driver: str, future: Future) -> None:
            answer = future.result()
            left.discard(driver)
            if not answer.success:
                engaged(f"{driver}: {answer.message or 'it is not ready; look at its log'}")
            elif not left:
                engaged("")

        for driver, client in self._clients.items():
            future = client.call_async(SetBool.Request(data=False))
            future.add_done_callback(lambda future, driver=driver: on_answer(driver, future))

    def suspend(self) -> bool:
        """See `Switch.suspend`."""
        for client in self._clients.values():
            client.call_async(SetBool.Request(data=True))
        time.sleep(SUSPENSION)
        return True


class GraphSwitch(DriverSwitch):
    """Switch of a graph of this process, which is ended if a driver does not answer.

    Args:
        graph: to be ended.
        node: see `DriverSwitch`.
    """

    def __init__(self, graph: Graph, node: Node) -> None:
        super().__init__(node, (driver for driver in topics.DRIVERS if driver in graph.names))
        self._graph = graph

    def break_off(self, reason: str) -> str:
        """See `DriverSwitch.break_off`."""
        self._graph.break_off(f"stopped by the space bar; {reason}, therefore the graph was ended")
        return f"{reason}: ending the graph"

    def suspend(self) -> bool:
        """See `Switch.suspend`; motors are stopped, a simulation goes on."""
        return not self._graph.simulated and super().suspend()


def _ask(client: Client, stop: bool) -> tuple[threading.Event, Future]:
    """Send a request; return an event that is set when the answer is there, and the future."""
    done = threading.Event()
    future = client.call_async(SetBool.Request(data=stop))
    future.add_done_callback(lambda _: done.set())
    return done, future
