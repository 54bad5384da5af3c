"""Round trips to nodes that answer, leave or stay silent."""

import time

import pytest

from handlab_nodes.runtime.round_trip import unanswering


@pytest.fixture
def asker(graph):
    """A node of this process beside the nodes estimator and reward."""
    with graph("estimator", "reward") as (nodes, node, loop):
        loop.wait(lambda: node.count_publishers("reward"), "the reward node")
        loop.wait(lambda: node.count_publishers("object/state"), "the estimator")
        yield nodes, node


def test_nodes_that_answer_and_one_that_is_not_there(asker):
    _, node = asker
    assert unanswering(node, lambda: {"/estimator", "/reward"}, 30.0) == []
    assert unanswering(node, lambda: {"/reward", "/nobody"}, 1.0) == ["/nobody"]
    assert not list(node.clients)


def test_a_node_that_leaves_and_an_early_end_are_not_waited_for(asker):
    _, node = asker
    names, began = iter([{"/nobody"}, {"/nobody"}]), time.monotonic()
    assert unanswering(node, lambda: next(names, set()), 60.0) == []
    assert unanswering(node, lambda: {"/nobody"}, 60.0, ended=lambda: True) == ["/nobody"]
    assert time.monotonic() - began < 30.0
