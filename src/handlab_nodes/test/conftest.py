"""A ROS domain of its own for every test process, so that suites can run side by side."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import rclpy

from handlab.graph.ros_domain import Domain
from handlab_nodes.runtime.event_loop import EventLoop


@pytest.fixture(scope="session", autouse=True)
def domain():
    """Claim a domain; what the tests start inherits it."""
    before = os.environ.pop("ROS_DOMAIN_ID", None)
    claimed = Domain()
    os.environ["ROS_DOMAIN_ID"] = str(claimed.id)
    yield claimed.id
    claimed.release()
    os.environ.pop("ROS_DOMAIN_ID")
    if before is not None:
        os.environ["ROS_DOMAIN_ID"] = before


@contextmanager
def _graph(*names, **parameters):
    """Start nodes as processes; yield a node of this process, `learner`, and its loop."""
    running = {}
    for name in names:
        words = [sys.executable, "-m", f"handlab_nodes.nodes.{name}_node", "--ros-args"]
        for key, value in parameters.get(name, {}).items():
            words += ["-p", f"{key}:={value}"]
        running[name] = subprocess.Popen(words)
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("learner", context=context)
    try:
        with EventLoop(node, context=context) as loop:
            yield running, node, loop
        left = {name: process.poll() for name, process in running.items()}
        assert set(left.values()) <= {None}, f"a node ended by itself: {left}"
    finally:
        context.try_shutdown()
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        codes = {name: process.wait(60) for name, process in running.items()}
    assert not any(codes.values()), f"nodes did not end cleanly: {codes}"


@pytest.fixture(scope="session")
def graph(domain):
    """Start a graph of processes, as a context; see `_graph`."""
    return _graph
