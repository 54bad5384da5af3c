"""Round trips: how a node finds out that other nodes know it and have sent what they had to send.

A request goes to the parameter service of each node. DDS announces the readers of one process in
the order in which they were made, and a node publishes and answers in one thread. So a node that
answers a client made now has discovered all earlier subscriptions of this process. All messages
that it published before it read the request were sent before the answer.
"""

import time
from collections.abc import Callable, Collection

from rcl_interfaces.srv import GetParameters
from rclpy.client import Client
from rclpy.node import Node

LOOK, NAMES = 0.005, 0.1
"""Seconds between two looks for answers, and for the names of nodes, which take longer."""

AGAIN = 0.1
"""Seconds; an answer is lost while its server has not discovered the client."""


def unanswering(
    node: Node,
    names: Callable[[], Collection[str]],
    timeout: float,
    ended: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Wait until all nodes have answered; return the names of those that have not.

    No event of `node` is handled meanwhile, so that a callback may wait here.

    Args:
        node: asks.
        names: returns the full names of the nodes that are there; called again and again, so that
            a node that leaves is not waited for. None is in this process.
        timeout: s.
        ended: ends the wait early.
    """
    clients = dict[str, Client]()
    answered, left = set[str](), list[str]()
    deadline = time.monotonic() + timeout
    looked = asked = float("-inf")
    try:
        while True:
            now = time.monotonic()
            if now - looked >= NAMES:
                left, looked = sorted(set(names()) - answered), now
            if not left or now >= deadline or ended():
                return left
            for name in left:
                if name not in clients:
                    service = f"{name}/get_parameters"
                    clients[name] = node.create_client(GetParameters, service)
            if now - asked >= AGAIN:
                asked = now
                for name in left:
                    _ask(clients[name])
            answered |= {name for name in left if _has_answer(clients[name])}
            left = [name for name in left if name not in answered]
            time.sleep(LOOK if left else 0.0)
    finally:
        for client in clients.values():
            node.destroy_client(client)


def _ask(client: Client) -> None:
    """Send a request past rclpy, which would keep its future until the executor sees the answer."""
    with client.handle:
        client.handle.send_request(GetParameters.Request())


def _has_answer(client: Client) -> bool:
    with client.handle:
        header, _ = client.handle.take_response(GetParameters.Response)
    return header is not None
