"""Readers of others, and a recorder that is killed."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rclpy.action import ActionClient
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import JointState

from handlab_core.tasks import make_task
from handlab_core.types import NS_PER_S
from handlab_data.demonstration_reader import read_recording
from handlab_interfaces import msg as wire
from handlab_interfaces.action import RecordDemonstration
from handlab_nodes.messages import convert, qos, topics

Mark = wire.DemonstrationMark
TASK = make_task("valve")


def test_mcap_and_rosbags_read_it_with_the_definitions_it_brings(recorded, messages_of):
    bag, _ = recorded
    by_mcap = messages_of(bag)
    with AnyReader([bag], default_typestore=None) as reader:
        by_rosbags = {}
        for connection, _, data in reader.messages():
            found = by_rosbags.setdefault(connection.topic, [])
            found.append(reader.deserialize(data, connection.msgtype))
    assert {t: len(m) for t, m in by_mcap.items()} == {t: len(m) for t, m in by_rosbags.items()}
    kinds = [mark.kind for mark in by_mcap["/demonstration/mark"]]
    assert kinds == [Mark.BEGAN, Mark.ENDED, Mark.ACCEPTED] * 3
    for one, other in zip(*(by["/hand/joint_states"] for by in (by_mcap, by_rosbags)), strict=True):
        np.testing.assert_array_equal(one.position, other.position)


def test_log_times_follow_the_robots_time_so_that_a_player_keeps_its_pace(recorded):
    """A lockstep run takes a hundredth of its robot time; `ros2 bag play` waits by log times."""
    bag, _ = recorded
    with open(next(bag.glob("*.mcap")), "rb") as file:
        messages = [
            (channel.topic, message.log_time, decoded)
            for _, channel, message, decoded in make_reader(
                file, decoder_factories=[DecoderFactory()]
            ).iter_decoded_messages(log_time_order=False)
        ]
    times = [log_time for _, log_time, _ in messages]
    assert times == sorted(times)
    stamps = {}
    for topic, log_time, message in messages:
        if topic == "/clock":
            stamp = convert.from_stamp(message.clock)
        elif topic in ("/robot_description", "/demonstration/session", "/simulation/state"):
            continue
        else:
            stamp = convert.from_stamp(message.header.stamp)
        stamps.setdefault(topic, []).append((log_time / NS_PER_S, stamp))
    streams = ("joint_states", "joint_commands")
    hand, fixture = ([f"/{group}/{name}" for name in streams] for group in ("hand", "fixture"))
    for topic in (*hand, *fixture, "/object/state", "/reward"):
        late = np.array([logged - stamp for logged, stamp in stamps[topic]])
        assert (late >= 0.0).all(), topic
        # Not all: a publisher that discovers the recorder late sends what it has kept.
        assert np.mean(late < 2 * TASK.period + 1e-9) > 0.8, topic
    span = stamps["/hand/joint_states"][-1][1] - stamps["/hand/joint_states"][0][1]
    assert span > 20.0 and times[-1] - times[0] == pytest.approx(span * NS_PER_S, abs=NS_PER_S)


def test_a_bag_has_the_time_and_how_hand_and_nodes_were(recorded, messages_of):
    bag, _ = recorded
    found = messages_of(bag)
    assert {"/clock", "/diagnostics", "/hand/status", "/fixture/status"} <= found.keys()
    for message in found["/joint_states"]:
        assert set(message.name) == {*TASK.hand.joints, TASK.fixture.joint}
    assert {"driver", "estimator", "recorder"} <= {
        status.name for message in found["/diagnostics"] for status in message.status
    }


NPM = {
    "@mcap/core": "2.2.2",
    "@foxglove/rosmsg2-serialization": "3.1.0",
    "@foxglove/rosmsg": "5.0.5",
}
"""Exact versions of Foxglove's readers and of what parses the definitions for them."""
PATIENCE = 600.0
"""s, for a package registry that is slow."""


@pytest.fixture(scope="module")
def foxglove():
    """A folder with Foxglove's readers, installed once and kept in the user's cache."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("NOT TESTED: node or npm is missing, which Foxglove's readers need")
    key = "-".join(f"{name.split('/')[1]}-{version}" for name, version in NPM.items())
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "handlab" / key
    if not (cache / "complete").exists():
        cache.mkdir(parents=True, exist_ok=True)
        words = [f"{name}@{version}" for name, version in NPM.items()]
        install = ["npm", "install", "--no-audit", "--no-fund", "--save-exact", *words]
        done = subprocess.run(install, cwd=cache, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        (cache / "complete").touch()
    shutil.copy(Path(__file__).with_name("read_bag.mjs"), cache)
    return cache


@pytest.mark.timeout(PATIENCE + 60)
def test_foxgloves_readers_read_it(recorded, foxglove, messages_of):
    bag, _ = recorded
    path = next(bag.glob("*.mcap"))
    done = subprocess.run(
        ["node", "read_bag.mjs", path], cwd=foxglove, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found, ours = json.loads(done.stdout), messages_of(bag)
    assert {t: f["count"] for t, f in found.items()} == {t: len(m) for t, m in ours.items()}
    assert found["/hand/joint_states"]["last"] == list(ours["/hand/joint_states"][-1].position)
    assert found["/demonstration/session"]["task"] == "valve"


def test_ros2_bag_finds_what_it_needs_in_the_metadata(recorded, messages_of):
    """Fields as rosbag2 of Jazzy writes and reads them, version 9."""
    bag, _ = recorded
    info = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert (info["version"], info["storage_identifier"]) == (9, "mcap")
    assert info["relative_file_paths"] == [path.name for path in bag.glob("*.mcap")]
    counts = {
        t["topic_metadata"]["name"]: t["message_count"] for t in info["topics_with_message_count"]
    }
    found = {topic: len(messages) for topic, messages in messages_of(bag).items()}
    assert {topic: count for topic, count in counts.items() if count} == found
    assert info["message_count"] == sum(found.values())
    assert info["files"][0]["message_count"] == info["message_count"]
    assert info["duration"]["nanoseconds"] > 0
    facts = info["custom_data"]
    assert (facts["task"], facts["hand"]) == ("valve", "claw")
    assert np.allclose([float(x) for x in facts["goal"].split()], np.pi, atol=1e-4)
    for topic in info["topics_with_message_count"]:
        [offered] = topic["topic_metadata"]["offered_qos_profiles"]
        latched = topic["topic_metadata"]["name"] in ("/episode_goal", "/demonstration/session")
        assert offered["reliability"] == "reliable"
        assert offered["durability"] == "transient_local" or not latched


def test_a_crash_loses_at_most_the_last_second_and_the_file_opens(tmp_path, classroom):
    """In real pace, by SIGKILL while it records: what was a second ago is there for all readers."""
    bag, heard, sessions = tmp_path / "bag", [], []
    with classroom(bag, "real") as (running, node, loop):
        node.create_subscription(
            JointState, topics.HAND_STATES, lambda m: heard.append((time.monotonic(), m)),
            qos.STREAM,
        )  # fmt: skip
        # Until the recorder has found all publishers, a busy machine needs seconds.
        node.create_subscription(
            wire.DemonstrationSession, topics.SESSION, sessions.append, qos.LATCHED
        )
        goal = RecordDemonstration.Goal(at_once=True, episodes=[0], seed=0)
        client = ActionClient(node, RecordDemonstration, topics.RECORD_DEMONSTRATION)
        loop.wait(client.server_is_ready, "the demonstrator")
        client.send_goal_async(goal)
        loop.wait(lambda: sessions, "the session, which is published once the bag is open")
        began = time.monotonic()
        loop.wait(lambda: time.monotonic() - began > 6.0, "some seconds of motion")
        running["recorder"].kill()
        killed = time.monotonic()
    [path] = bag.glob("*.mcap")
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        stamps = [
            convert.from_stamp(message.header.stamp)
            for _, channel, _, message in reader.iter_decoded_messages()
            if channel.topic == "/hand/joint_states"
        ]
    # A second, and what a busy machine is late by.
    due = [convert.from_stamp(m.header.stamp) for at, m in heard if at < killed - 2.0]
    assert len(due) > 100 and max(stamps) >= max(due)
    with AnyReader([path], default_typestore=None) as opened:
        assert opened.message_count > len(stamps)
    assert not read_recording(bag).whole
