"""The graph as launch actions; only where launch_ros is installed."""

import importlib

import pytest

for package in ("launch", "launch_ros"):
    pytest.importorskip(package)


def test_a_node_that_ends_ends_the_graph_once():
    """Ctrl-C ends all nodes; a Shutdown for each of them would be an error of launch."""
    launching = importlib.import_module("handlab.launching")
    launch = importlib.import_module("launch")
    context = launch.LaunchContext()
    end = launching._end_with("driver")
    [emitted] = end.visit(context)
    assert isinstance(emitted, launch.actions.EmitEvent)
    context._set_is_shutdown(True)
    assert not end.visit(context)
