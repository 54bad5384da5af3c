"""Begin and end of a recording, while nodes of the graph are slow."""

import signal
import subprocess
import sys

import pytest
from rosbags.highlevel import AnyReader
from std_srvs.srv import SetBool

from handlab_nodes.messages import topics

RUNNER = """
import signal
import rclpy
from handlab_interfaces import msg as wire
from handlab_nodes.messages import qos, topics

rclpy.init()
node = rclpy.create_node("runner")
episodes = node.create_publisher(wire.Episode, topics.EPISODE, qos.EPISODES)
number = 0

def publish(*_):
    global number
    episodes.publish(wire.Episode(episode=number))
    number += 1

signal.signal(signal.SIGCONT, publish)
while True:
    rclpy.spin_once(node, timeout_sec=0.05)
"""
"""A node that publishes an episode at each SIGCONT, before it answers anything."""


class Recording:
    def __init__(self, node, loop, bag):
        self.node, self.loop, self.bag = node, loop, bag
        self.client = node.create_client(SetBool, topics.RECORD)
        loop.wait(self.client.service_is_ready, "the recorder")

    def ask(self, on):
        return self.client.call_async(SetBool.Request(data=on))

    def switch(self, on):
        assert self.loop.result(self.ask(on), "the recorder's answer").success

    def episodes(self):
        with AnyReader([self.bag], default_typestore=None) as reader:
            found = [c for c in reader.connections if c.topic == f"/{topics.EPISODE}"]
            return [
                reader.deserialize(data, connection.msgtype).episode
                for connection, _, data in reader.messages(found)
            ]


@pytest.fixture(scope="module")
def recording(graph, tmp_path_factory):
    bag = tmp_path_factory.mktemp("recording") / "bag"
    with graph("driver", "estimator", "recorder", recorder={"bag": bag}) as (_, node, loop):
        yield Recording(node, loop, bag)


@pytest.fixture
def runner(recording):
    process = subprocess.Popen([sys.executable, "-c", RUNNER])
    loop, node = recording.loop, recording.node
    loop.wait(lambda: node.count_publishers(topics.EPISODE), "the runner")
    yield process
    process.kill()
    process.wait()


def test_a_recording_begins_once_every_node_knows_the_recorder(recording, runner):
    runner.send_signal(signal.SIGSTOP)
    answer = recording.ask(True)
    recording.loop.rest(1.0)
    assert not answer.done()
    runner.send_signal(signal.SIGCONT)
    assert recording.loop.result(answer, "the recorder's answer").success
    runner.send_signal(signal.SIGCONT)
    recording.loop.rest(0.2)
    recording.switch(False)
    assert recording.episodes()[-1:] == [1]


def test_a_recording_has_what_was_sent_before_its_end(recording, runner):
    recording.switch(True)
    runner.send_signal(signal.SIGSTOP)
    answer = recording.ask(False)
    recording.loop.rest(0.5)
    runner.send_signal(signal.SIGCONT)
    assert recording.loop.result(answer, "the recorder's answer").success
    assert recording.episodes() == [0]


def test_a_request_that_comes_twice_loses_nothing(recording, runner):
    """A client repeats a request while the recorder looks for publishers on a busy machine."""
    recording.switch(True)
    runner.send_signal(signal.SIGCONT)
    recording.loop.rest(0.2)
    recording.switch(True)
    recording.switch(False)
    assert recording.episodes() == [0]


def test_a_node_that_never_answers_delays_the_end_for_a_while_only(recording, runner):
    recording.switch(True)
    runner.send_signal(signal.SIGCONT)
    recording.loop.rest(0.2)
    runner.send_signal(signal.SIGSTOP)
    recording.switch(False)
    assert recording.episodes() == [0]
