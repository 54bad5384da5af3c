"""A graph that records demonstrations, and one recording for all tests of nodes."""

import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import rclpy
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from handlab_interfaces import msg as wire
from handlab_interfaces.action import RecordDemonstration
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.actions import RestartSafeActionClient
from handlab_nodes.runtime.event_loop import EventLoop

NOISE = 0.02
"""rad; trembling of the scripted teacher."""


@contextmanager
def _processes(parameters):
    """Nodes as processes, by name with their parameters; and a node of this one."""
    running = {}
    for name, chosen in parameters.items():
        words = [sys.executable, "-m", f"handlab_nodes.nodes.{name}_node", "--ros-args"]
        words += ["-p", "use_sim_time:=true"]
        for key, value in chosen.items():
            words += ["-p", f"{key}:={value}"]
        running[name] = subprocess.Popen(words)
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("client", context=context)
    try:
        with EventLoop(node, context=context) as loop:
            yield running, node, loop
    finally:
        context.try_shutdown()
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        for name, process in running.items():
            code = process.wait(60)
            clean = code in (0, -signal.SIGKILL, -signal.SIGALRM)  # the last: see `loop.run`
            assert clean, f"{name} did not end cleanly: {code}"


def _classroom(bag, pace="lockstep", **teacher_config):
    """The graph that records."""
    return _processes(
        {
            "driver": {"pace": pace},
            "estimator": {"pace": pace},
            "reward": {},
            "reset": {},
            "demonstrator": {"pace": pace, "guided": True, "record": True, "teacher": "script"},
            "teacher": {"noise": NOISE} | teacher_config,
            "recorder": {"bag": bag},
        }
    )


def _record(node, loop, count, **goal):
    action_client = RestartSafeActionClient(
        node, loop, RecordDemonstration, topics.RECORD_DEMONSTRATION
    )
    goal = {"at_once": True, "episodes": list(range(count)), "seed": 0} | goal
    return action_client.ask(RecordDemonstration.Goal(**goal), 120.0)


def _messages_of(bag):
    """Topic to its messages, by our own reader's library, for comparison."""
    found = {}
    with open(next(bag.glob("*.mcap")), "rb") as file:
        for _, channel, _, message in make_reader(
            file, decoder_factories=[DecoderFactory()]
        ).iter_decoded_messages():
            found.setdefault(channel.topic, []).append(message)
    return found


@pytest.fixture(scope="session")
def recorded(domain, tmp_path_factory):
    """A bag of three demonstrations in lockstep, and the episodes that were computed live."""
    bag = tmp_path_factory.mktemp("recorded") / "bag"
    live = []
    with _classroom(bag) as (_, node, loop):
        node.create_subscription(
            wire.Episode, topics.EPISODE, lambda m: live.append(convert.episode(m)), qos.EPISODES
        )
        result = _record(node, loop, 3)
        loop.wait(lambda: len(live) == 3, "episodes", 60.0)
    assert result.success and result.accepted == 3 and not result.dropped
    return bag, live


@pytest.fixture
def processes(domain):
    """Start nodes as processes, by name with their parameters; see `_processes`."""
    return _processes


@pytest.fixture
def classroom(domain):
    """Start the graph that records, as a context: `classroom(bag, pace, **teacher_config)`."""
    return _classroom


@pytest.fixture
def record():
    """Return a function that records demonstrations: `record(node, loop, count, **goal)`."""
    return _record


@pytest.fixture
def messages_of():
    """Return a function that reads the messages of a bag by topic."""
    return _messages_of
