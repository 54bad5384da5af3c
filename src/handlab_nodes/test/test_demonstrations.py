"""Demonstrations through the graph: passive driver, recorder, marks, bag, inference; and replay."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rclpy
import yaml
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rclpy.action import ActionClient
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from handlab.graph.config import GraphConfig, build_graph
from handlab.teaching.scripted import Classroom, demonstrate
from handlab_core.demonstrations.recording import to_episode
from handlab_core.demonstrations.scripted_teacher import TeacherConfig
from handlab_core.demonstrations.segmentation import OperatorCommand
from handlab_core.errors import BadDemonstrations
from handlab_core.system.paths import share
from handlab_core.tasks import TASKS, make_task
from handlab_core.types import NS_PER_S
from handlab_data.demonstration_reader import read_demonstrations, read_recording
from handlab_interfaces import msg as wire
from handlab_interfaces.action import RecordDemonstration, ReplayDemonstration
from handlab_interfaces.srv import TellDemonstration
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.actions import RestartSafeActionClient
from handlab_nodes.runtime.event_loop import EventLoop

Mark = wire.DemonstrationMark
TASK = make_task("valve")
NOISE = 0.02


@contextmanager
def processes(parameters):
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


def classroom(bag, pace="lockstep", **teacher_config):
    """The graph that records."""
    return processes(
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


def record(node, loop, count, **goal):
    action_client = RestartSafeActionClient(
        node, loop, RecordDemonstration, topics.RECORD_DEMONSTRATION
    )
    goal = {"at_once": True, "episodes": list(range(count)), "seed": 0} | goal
    return action_client.ask(RecordDemonstration.Goal(**goal), 120.0)


def assert_same(one, other):
    assert (one.key, one.outcome, one.time) == (other.key, other.outcome, other.time)
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A bag of three demonstrations in lockstep, and the episodes that were computed live."""
    bag = tmp_path_factory.mktemp("recorded") / "bag"
    live = []
    with classroom(bag) as (_, node, loop):
        node.create_subscription(
            wire.Episode, topics.EPISODE, lambda m: live.append(convert.episode(m)), qos.EPISODES
        )
        result = record(node, loop, 3)
        loop.wait(lambda: len(live) == 3, "episodes", 10.0)
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
    motions = demonstrate(TASK, TeacherConfig(noise=NOISE), 0, range(3), num_envs=1)
    here = [to_episode(motion, TASK) for motion in motions]
    np.testing.assert_array_equal(live[0].trajectory.observations, here[0].trajectory.observations)


# The bag.


def messages_of(bag):
    """Topic to its messages, by our own reader's library, for comparison."""
    found = {}
    with open(next(bag.glob("*.mcap")), "rb") as file:
        for _, channel, _, message in make_reader(
            file, decoder_factories=[DecoderFactory()]
        ).iter_decoded_messages():
            found.setdefault(channel.topic, []).append(message)
    return found


def test_mcap_and_rosbags_read_it_with_the_definitions_it_brings(recorded):
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
        elif topic in ("/robot_description", "/demonstration/session"):
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


def test_a_bag_has_the_time_and_how_hand_and_nodes_were(recorded):
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
def test_foxgloves_readers_read_it(recorded, foxglove):
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


def test_ros2_bag_finds_what_it_needs_in_the_metadata(recorded):
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


def test_a_bag_of_something_else_is_refused_with_the_difference(recorded):
    bag, _ = recorded
    with pytest.raises(BadDemonstrations, match=r"its task is valve, not flip.*object is valve"):
        read_demonstrations(bag, make_task("flip"))
    with pytest.raises(BadDemonstrations, match="its hand is claw, not allegro"):
        read_demonstrations(bag, make_task("allegro_valve"))
    with pytest.raises(BadDemonstrations, match=r"its control period is 0\.1 s, not 0\.05 s"):
        read_demonstrations(bag, replace(TASK, period=0.05))
    with pytest.raises(BadDemonstrations, match="its calibration is none, not measured"):
        read_demonstrations(bag, TASK, calibration="measured: FFJ10 3.14")
    with pytest.raises(BadDemonstrations, match="does not exist"):
        read_demonstrations(bag.parent / "nothing", TASK)


def test_of_a_bag_that_was_cut_the_whole_episodes_are_used(recorded, tmp_path, caplog):
    bag, live = recorded
    whole = next(bag.glob("*.mcap")).read_bytes()
    cut = tmp_path / "cut.mcap"
    counts = []
    for part in np.linspace(0.3, 0.95, 8):
        cut.write_bytes(whole[: int(part * len(whole))])
        try:
            read = read_demonstrations(cut, TASK)
        except BadDemonstrations as error:
            assert "was cut off" in str(error) or "no demonstration" in str(error)
            read = []
        counts.append(len(read))
        for one, other in zip(read, live, strict=False):
            assert_same(one, other)
    assert counts == sorted(counts) and {1, 2} & set(counts)
    assert f"its {counts[-1]} whole episodes are used" in caplog.text


def test_a_bag_may_be_cut_at_any_byte(recorded, tmp_path):
    """Within a record's head, one byte of its kind and eight of its length, and behind it."""
    bag, _ = recorded
    whole = next(bag.glob("*.mcap")).read_bytes()
    cut, late = tmp_path / "cut.mcap", len(whole) * 9 // 10
    head = following = len(b"\x89MCAP0\r\n")
    while following < late:
        head = following
        following += 9 + int.from_bytes(whole[head + 1 : head + 9], "little")
    for i in range(12):
        cut.write_bytes(whole[: head + i])
        assert 1 <= len(read_demonstrations(cut, TASK)) < 3


def test_without_a_usable_demonstration_all_reasons_are_told(tmp_path):
    """A teacher that always breaks off: nothing is accepted, and the bag says why."""
    with classroom(tmp_path / "bag", failures=1.0) as (_, node, loop):
        result = record(node, loop, 2)
    assert result.success and result.accepted == 0
    assert len(result.dropped) == 2 and "degrees from the goal" in result.dropped[0]
    with pytest.raises(BadDemonstrations, match=r"0: it ended .* from the goal; 1: it ended"):
        read_demonstrations(tmp_path / "bag", TASK)


def test_a_crash_loses_at_most_the_last_second_and_the_file_opens(tmp_path):
    """In real pace, by SIGKILL while it records: what was a second ago is there for all readers."""
    bag, heard = tmp_path / "bag", []
    with classroom(bag, "real") as (running, node, loop):
        node.create_subscription(
            JointState, topics.HAND_STATES, lambda m: heard.append((time.monotonic(), m)),
            qos.STREAM,
        )  # fmt: skip
        goal = RecordDemonstration.Goal(at_once=True, episodes=[0], seed=0)
        client = ActionClient(node, RecordDemonstration, topics.RECORD_DEMONSTRATION)
        loop.wait(client.server_is_ready, "the demonstrator")
        client.send_goal_async(goal)
        loop.wait(lambda: next(bag.glob("*.mcap"), None), "the bag")
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


# A person.


def test_a_person_begins_ends_and_judges(tmp_path):
    """In real pace, by the service that keys call; a word at the wrong time is refused."""
    stages, told, elapsed = [], [], {}
    with classroom(tmp_path / "bag", "real") as (_, node, loop):
        client = ActionClient(node, RecordDemonstration, topics.RECORD_DEMONSTRATION)
        tell = node.create_client(TellDemonstration, topics.TELL)
        loop.wait(client.server_is_ready, "the demonstrator")
        loop.wait(tell.service_is_ready, "its service")

        def say(word):
            request = TellDemonstration.Request(word=word.value)
            told.append(loop.result(tell.call_async(request), "an answer"))

        goal = RecordDemonstration.Goal(ask=True, episodes=[0, 1, 2], seed=0, hold=0.05)

        def on_feedback(message):
            episode, stage = message.feedback.episode, message.feedback.stage
            stages.append((episode, stage))
            elapsed[episode] = message.feedback.elapsed

        sending = client.send_goal_async(goal, feedback_callback=on_feedback)
        ending = loop.result(sending, "the goal").get_result_async()
        for number, verdict in enumerate((OperatorCommand.ACCEPT, OperatorCommand.DROP)):
            loop.wait(lambda n=number: (n, "waiting") in stages, "the hand to be let go")
            if not number:
                say(OperatorCommand.ACCEPT)  # too early
            say(OperatorCommand.BEGIN)
            loop.wait(lambda n=number: elapsed.get(n, 0.0) >= 2.0, "two seconds of it")
            say(OperatorCommand.END)
            loop.wait(lambda n=number: (n, "verdict") in stages, "the time for a verdict")
            say(verdict)
        loop.wait(lambda: (2, "waiting") in stages, "the hand to be let go")
        say(OperatorCommand.DROP)
        result = loop.result(ending, "the end").result
    assert result.success and result.accepted == 1
    assert [why.split(":")[0] for why in result.dropped] == ["1", "2"]
    assert [answer.success for answer in told] == [False] + [True] * 7
    assert told[0].message == "now is the time for BEGIN, DROP (waiting)"
    [episode] = read_demonstrations(tmp_path / "bag", TASK)
    assert (
        15 <= episode.steps <= 40
        and np.abs(np.diff(episode.trajectory.observations[:, 0])).max() > 0.01
    )
    assert len(read_recording(tmp_path / "bag").motions[0].hand.stamp) > 5 * episode.steps


# Replay.


REPLAYING = {"driver": {}, "estimator": {}, "reward": {}, "reset": {}, "replay": {}}


def replayed(node, loop, bag, **goal):
    action_client = RestartSafeActionClient(
        node, loop, ReplayDemonstration, topics.REPLAY_DEMONSTRATION
    )
    return action_client.ask(ReplayDemonstration.Goal(bag=str(bag), **goal), 120.0)


def test_a_hand_repeats_a_demonstration_from_where_it_began_and_only_from_there(recorded):
    """Through driver and clamp; afterwards the valve is turned, and a second start is refused."""
    bag, live = recorded
    room = Classroom(TASK, 1)
    here = room.replay(live[0].trajectory.actions[:, None, :], 0, [0])[0, -1]
    with processes(REPLAYING) as (_, node, loop):
        done = replayed(node, loop, bag, episodes=[0], reset=True)
        assert done.success and done.replayed == 1
        shown = read_recording(bag).motions[0].object.angle[-1]
        assert done.object_errors[0] == abs(here - shown)  # as in this process
        again = replayed(node, loop, bag, episodes=[0], reset=False)
        assert not again.success
        assert "began elsewhere" in again.message and "valve more than 10 degrees" in again.message
        assert "The hand is at FFJ10" in again.message and "it began at FFJ10" in again.message
        unknown = replayed(node, loop, bag, episodes=[7], reset=True)
        assert "no demonstration 7, only 0, 1, 2" in unknown.message


def test_the_replay_of_another_task_is_refused(recorded):
    bag, _ = recorded
    parameters = {"replay": {"task": "flip", "look": True}}
    with processes(parameters) as (_, node, loop):
        refused = replayed(node, loop, bag)
    assert not refused.success and "its task is valve, not flip" in refused.message


def test_looking_shows_what_was_recorded_and_needs_no_driver(recorded):
    """To rviz as well: description, all joints, the recorded time, and frames."""
    bag, live = recorded
    hands, errors = [], []
    joints, clocks, described, frames = [], [], [], []
    motion = read_recording(bag).motions[1]
    graph = {node.name: node.parameters for node in build_graph(GraphConfig(replay="look"))}
    urdf = graph["replay"]["robot_description"]

    def all_came():
        stamps = [convert.from_stamp(m.header.stamp) for m in errors[-1:]]
        return len(hands) == TASK.steps + 1 and stamps == [motion.ended]

    shown = {"look": True, "robot_description": urdf}
    scene = {"robot_description": urdf}
    with processes({"replay": shown, "reward": {}, "scene": scene}) as (_, node, loop):
        node.create_subscription(JointState, topics.HAND_STATES, hands.append, qos.STREAM)
        node.create_subscription(JointState, topics.JOINT_STATES, joints.append, qos.REPORT)
        node.create_subscription(Clock, "/clock", clocks.append, qos.CLOCK)
        node.create_subscription(String, topics.DESCRIPTION, described.append, qos.LATCHED)
        node.create_subscription(TFMessage, topics.TF, frames.append, qos.TRANSFORMS)
        node.create_subscription(wire.Reward, topics.REWARD, errors.append, qos.STREAM)
        loop.wait(lambda: node.count_publishers(topics.REWARD), "the reward computer")
        loop.wait(lambda: node.count_publishers(topics.TF), "the scene")
        done = replayed(node, loop, bag, episodes=[1])
        loop.wait(all_came, "the last state and its reward", 10.0)
        newest = lambda message: convert.from_stamp(message.header.stamp)  # noqa: E731
        loop.wait(lambda: frames and newest(frames[-1].transforms[0]) == motion.ended, "frames")
        assert not node.count_publishers(topics.HAND_COMMANDS)
    assert done.success and done.replayed == 1
    np.testing.assert_array_equal([m.position for m in hands], motion.hand.q)
    assert errors[-1].error == live[1].trajectory.errors[-1]
    assert described[0].data == urdf
    assert set(joints[-1].name) == {*TASK.hand.joints, TASK.fixture.joint}
    assert joints[-1].position[: TASK.hand.n].tolist() == motion.hand.q[-1].tolist()
    assert convert.from_stamp(clocks[-1].clock) == motion.ended


# What comes along.


CLAW_TASKS = [name for name in TASKS if make_task(name).hand_name == "claw"]


@pytest.mark.parametrize("name", CLAW_TASKS)
def test_every_claw_task_has_a_reference_bag_of_successes(name):
    """Twenty strict ones of the tasks that figures are shown of."""
    task = make_task(name)
    episodes = read_demonstrations(share() / "demos" / name, task)
    assert len(episodes) >= 10 and all(episode.success for episode in episodes)
    assert {episode.trajectory.observations.shape[1] for episode in episodes} == {
        task.observation_size
    }
    if name in ("valve", "flip"):
        assert len(episodes) == 20 and all(episode.outcome.strict_success for episode in episodes)
