"""Demonstrations through the graph: passive driver, recorder, marks, bag, inference; and replay."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import pytest
import rclpy

from handlab.teaching import demonstrate
from handlab_core.demos.gait import Manner, load_gait
from handlab_core.demos.motion import to_episode
from handlab_core.episode import Episode
from handlab_core.tasks import make_task
from handlab_interfaces import msg as wire
from handlab_interfaces.action import RecordDemonstration
from handlab_nodes import convert, qos, topics
from handlab_nodes.asking import Asker
from handlab_nodes.demonstration_bag import read_demonstrations
from handlab_nodes.spinner import Spinner

TASK = make_task("valve")
NOISE = 0.02
RING = ("driver", "estimator", "reward", "reset", "demonstrator", "teacher", "recorder")


@contextmanager
def classroom(bag, pace="lockstep", **manner):
    """The graph that records, as processes."""
    parameters = {
        "driver": {"pace": pace},
        "demonstrator": {"pace": pace, "guided": True, "record": True, "teacher": "script"},
        "teacher": {"noise": NOISE} | manner,
        "recorder": {"bag": bag},
    }
    running = {}
    for name in RING:
        words = [sys.executable, "-m", f"handlab_nodes.{name}_node", "--ros-args"]
        for key, value in parameters.get(name, {}).items():
            words += ["-p", f"{key}:={value}"]
        running[name] = subprocess.Popen(words)
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("client", context=context)
    try:
        with Spinner(node, context=context) as spinner:
            yield running, node, spinner
    finally:
        context.try_shutdown()
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        for name, process in running.items():
            code = process.wait(10)
            assert code in (0, -signal.SIGKILL), f"{name} did not end cleanly: {code}"


def record(node, spinner, count, **goal):
    asker = Asker(node, spinner, RecordDemonstration, topics.RECORD_DEMONSTRATION)
    goal = {"at_once": True, "episodes": list(range(count)), "seed": 0} | goal
    return asker.ask(RecordDemonstration.Goal(**goal), 120.0)


def assert_same(one, other):
    for field in fields(Episode):
        a, b = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(a, b, err_msg=field.name)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A bag of three demonstrations in lockstep, and the episodes that were computed live."""
    bag = tmp_path_factory.mktemp("recorded") / "bag"
    live = []
    with classroom(bag) as (_, node, spinner):
        node.create_subscription(
            wire.Episode, topics.EPISODE, lambda m: live.append(convert.episode(m)), qos.EPISODES
        )
        result = record(node, spinner, 3)
        spinner.wait(lambda: len(live) == 3, "episodes", 10.0)
    assert result.success and result.accepted == 3 and not result.dropped
    return bag, live


def test_what_is_computed_from_the_bag_is_what_was_computed_live(recorded):
    bag, live = recorded
    read = read_demonstrations(bag, TASK)
    assert len(read) == 3
    for one, other in zip(read, live, strict=True):
        assert_same(one, other)


def test_the_graph_shows_the_demonstrations_of_the_process(recorded):
    """One hand after another in this process, and through all nodes: bit for bit."""
    _, live = recorded
    gait, manner = load_gait(TASK), Manner(noise=NOISE)
    here = [to_episode(m, TASK) for m in demonstrate(TASK, gait, manner, 0, range(3), worlds=1)]
    np.testing.assert_array_equal(live[0].observations, here[0].observations)
