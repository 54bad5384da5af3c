"""A ROS domain of its own for every test process, so that suites can run side by side."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy

from handlab.graph.ros_domain import Domain
from handlab_core.environment.env import Env
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.environment.station import LocalStation
from handlab_nodes.messages import topics
from handlab_nodes.runtime.event_loop import EventLoop
from handlab_sim.backend import MujocoBackend


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


class Processes(dict):
    """Nodes as processes, by name."""

    def start(self, name, **parameters):
        words = [sys.executable, "-m", f"handlab_nodes.nodes.{name}_node", "--ros-args"]
        for key, value in parameters.items():
            words += ["-p", f"{key}:={value}"]
        self[name] = subprocess.Popen(words)

    def kill(self, name):
        process = self.pop(name)
        process.kill()
        process.wait()

    def stop(self):
        for process in self.values():
            process.send_signal(signal.SIGTERM)
        codes = {name: process.wait(60) for name, process in self.items()}
        ends = {0, -signal.SIGALRM}  # the last: Fast DDS may hang at the end, see `event_loop.run`
        assert set(codes.values()) <= ends, f"nodes did not end cleanly: {codes}"


@contextmanager
def _graph(*names, **parameters):
    """Start nodes as processes; yield them, a node of this process, `learner`, and its loop.

    Without a runner the learner may command the driver, as in a graph of the product.
    """
    nodes = Processes()
    if "runner" not in names:
        commanders = [*topics.COMMANDERS, "reset", "learner"]
        parameters["driver"] = {"command_sources": commanders} | parameters.get("driver", {})
    for name in names:
        nodes.start(name, **parameters.get(name, {}))
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("learner", context=context)
    try:
        with EventLoop(node, context=context) as loop:
            yield nodes, node, loop
        left = {name: process.poll() for name, process in nodes.items()}
        assert set(left.values()) <= {None}, f"a node ended by itself: {left}"
    finally:
        context.try_shutdown()
        nodes.stop()


@pytest.fixture(scope="session")
def graph(domain):
    """Start a graph of processes, as a context; see `_graph`."""
    return _graph


@pytest.fixture(scope="session")
def policy():
    """Return a function that makes a random policy of a task."""

    def policy(task, version=3):
        rng = np.random.default_rng(0)
        o, n = task.observation_size, task.hand.n
        return GaussianPolicy(
            (rng.normal(size=(o, 16)) / 4, rng.normal(size=(16, n)) / 4),
            (np.zeros(16), np.zeros(n)), np.full(n, -0.5), np.zeros(o), np.ones(o), version,
        )  # fmt: skip

    return policy


@pytest.fixture(scope="session")
def local_env():
    """Return a function that makes the environment of a task in this process."""

    def local_env(task, estimator="encoder"):
        return Env(task, LocalStation(task, MujocoBackend(task.hand, task.fixture), estimator))

    return local_env


@pytest.fixture(scope="session")
def assert_same():
    """Return a function that compares two episodes bit for bit."""

    def assert_same(one, other):
        for name, array in one.arrays.items():
            np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)
        assert (one.key, one.outcome, one.time) == (other.key, other.outcome, other.time)

    return assert_same
