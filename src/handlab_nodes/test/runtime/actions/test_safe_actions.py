"""A second server of an action, and tasks that fail, end no process."""

import time

import pytest

from handlab.graph.ros_domain import Domain
from handlab_interfaces.action import Reset
from handlab_nodes.runtime.event_loop import guest
from handlab_nodes.runtime.safe_actions import SafeActionClient, SafeActionServer

ACTION = "reset_of_two"
GOALS = 10


@pytest.fixture
def domain():
    taken = Domain()
    yield taken.id
    taken.release()


def until(loops, done, seconds=30.0):
    """Handle events of all loops in turn until a condition holds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "no answer came"
        for loop in loops:
            loop.once(0.005)


def test_a_client_survives_two_servers_that_accept_the_same_goal(domain):
    """As when two graphs are in one ROS domain: each goal is answered twice."""
    accepted = []

    def accept(handle):
        accepted.append(handle)
        handle.execute()

    def carry_out(handle):
        handle.succeed()
        return Reset.Result()

    with (
        guest("one", domain) as one,
        guest("other", domain) as other,
        guest("asks", domain) as (node, own),
    ):
        _servers = [
            SafeActionServer(server, Reset, ACTION, execute_callback=carry_out,
                             handle_accepted_callback=accept)
            for server, _ in (one, other)
        ]  # fmt: skip
        client = SafeActionClient(node, Reset, ACTION)
        serving = [one[1], other[1]]
        until([own, *serving], lambda: node.count_publishers(f"{ACTION}/_action/status") == 2)
        twice = 0
        while twice < GOALS:
            accepted.clear()
            sent = client.send_goal_async(Reset.Goal())
            end = time.monotonic() + 1.0  # the first goals come before both know the client
            until(serving, lambda end=end: len(accepted) == 2 or time.monotonic() > end)
            time.sleep(0.02)  # both answers are there when the client looks again
            until([own], sent.done)
            assert sent.result().accepted
            ending = sent.result().get_result_async()
            until([own, *serving], ending.done)
            twice += len(accepted) == 2


def test_a_task_that_fails_is_an_error_of_its_loop(domain):
    with guest("fails", domain) as (_, loop):
        loop.executor.create_task(lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            for _ in range(10):
                loop.once(0.05)

        async def later():
            raise KeyError("later")

        loop.executor.create_task(later)
        with pytest.raises(KeyError):
            for _ in range(10):
                loop.once(0.05)
