"""The flight recorder: recorded episodes of the graph go the same way again, to the last bit."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer

from handlab.experiments.evaluation import evaluate
from handlab.graph.config import GraphConfig
from handlab.teaching import exact_replay
from handlab.teaching.exact_replay import replay_exactly
from handlab_core.errors import BadDemonstrations
from handlab_core.system.paths import share
from handlab_data.flight_record import read_flight_record

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


def test_a_command_that_differs_in_its_last_digits_is_found(flight, monkeypatch):
    record = read_flight_record(flight)
    [first, *_] = record.episodes
    commands = first.commands.copy()
    commands[10, 4, 0] *= 1.0 + 1e-12  # rad
    record.episodes[0] = replace(first, commands=commands)
    monkeypatch.setattr(exact_replay, "read_flight_record", lambda _: record)
    replays = replay_exactly(flight)
    assert [one.first for one in replays] == [10, *[None] * (EPISODES - 1)]
    assert replays[0].different > 100


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
