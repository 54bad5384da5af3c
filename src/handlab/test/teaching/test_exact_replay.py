"""The flight recorder: recorded episodes of the graph go the same way again, to the last bit."""

import json
import subprocess
import sys

import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer

from handlab.experiments.evaluation import evaluate
from handlab.graph.config import GraphConfig
from handlab.teaching.exact_replay import replay_exactly
from handlab_core.errors import BadDemonstrations
from handlab_core.system.paths import share

RUN = share() / "src/handlab_learning/test/runs/data/runs/varied"
EPISODES = 5


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    """Bag of an evaluation whose episodes all fail."""
    bag = tmp_path_factory.mktemp("flight") / "bag"
    verdict = evaluate(RUN, EPISODES, 0, GraphConfig(bag=str(bag)))
    assert verdict["success_rate"] == 0.0
    return bag


def test_every_failed_episode_goes_the_same_way_again(flight):
    replays = replay_exactly(flight)
    assert len(replays) == EPISODES and not any(one.success for one in replays)
    for one in replays:
        assert one.first is None and one.different == 0, one
        assert one.steps == 60 and one.numbers == 60 * 3 * 10


def test_single_episodes_are_chosen_and_unknown_ones_named(flight):
    [first, *_] = replay_exactly(flight)
    assert replay_exactly(flight, [first.episode]) == [first]
    with pytest.raises(BadDemonstrations, match=r"no whole episode 7; there is: 3000000"):
        replay_exactly(flight, [7])


def changed(flight, path, topic, change):
    """The same bag with the messages of a topic changed; None leaves a message out."""
    with (
        AnyReader([flight]) as reader,
        Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer,
    ):
        new = {
            c.id: writer.add_connection(c.topic, c.msgtype, msgdef=c.msgdef.data, rihs01=c.digest)
            for c in reader.connections
        }
        for connection, time, data in reader.messages():
            if connection.topic.endswith(topic):
                data = change(data)
            if data is not None:
                writer.write(new[connection.id], time, data)
    return path


def test_one_wrong_bit_of_a_command_is_found(flight, tmp_path):
    def flip(data):
        flipped.append(1)
        if len(flipped) != 200:
            return data
        end = len(data) - 9 * 8 - 4 - 9 * 8 - 4  # positions, then velocities and efforts
        content = bytearray(data)
        content[end] ^= 1
        return bytes(content)

    flipped = []
    bag = changed(flight, tmp_path / "bag", "hand/joint_commands_sent", flip)
    replays = replay_exactly(bag)
    assert sum(one.first is not None for one in replays) == 1


def test_a_bag_without_the_state_of_the_simulation_says_so(flight, tmp_path):
    bag = changed(flight, tmp_path / "bag", "simulation/state", lambda _: None)
    with pytest.raises(BadDemonstrations, match=r"simulation/state.*lockstep"):
        replay_exactly(bag)
    with pytest.raises(BadDemonstrations, match="cannot be read"):
        replay_exactly(tmp_path / "nothing")


def test_the_verb_counts_exact_episodes(flight):
    words = [sys.executable, "-m", "handlab.cli", "replay", str(flight), "--exact", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert f"{EPISODES} of {EPISODES} episodes went the same way to the last bit" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["exact"] == EPISODES
