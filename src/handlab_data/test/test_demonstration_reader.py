"""Bags from anywhere: other orders, storages and compressions are read; damage is named."""

import logging
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from copy import deepcopy
from functools import cache
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import yaml
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from handlab_core.errors import BadDemonstrations
from handlab_core.system.paths import share
from handlab_core.tasks import make_task
from handlab_data import bag_storage
from handlab_data.bag_messages import NEEDED, place
from handlab_data.bag_storage import MAX_RECORD, MIB, Bag
from handlab_data.bag_writer import BagWriter, typestore
from handlab_data.demonstration_reader import read_demonstrations, read_recording

TASK = make_task("valve")
HAND, FIXTURE, OBJECT = "/hand/joint_states", "/fixture/joint_states", "/object/state"
GOAL, SESSION, MARK = "/episode_goal", "/demonstration/session", "/demonstration/mark"
BAD_NUMBERS = (np.nan, np.inf, -np.inf, 1e300)


class Recorded(list):
    """Messages of a bag: (topic, type name, log time [ns], message)."""

    def on(self, topic):
        return [message for name, _, _, message in self if name == topic]

    def rename(self, change):
        return Recorded((change(name), kind, at, message) for name, kind, at, message in self)


@cache
def _original():
    """The first two demonstrations of the valve that come along."""
    found, accepted, types = Recorded(), 0, typestore()
    for at, (topic, data) in enumerate(Bag(share() / "demos" / "valve").messages(place)):
        message = types.deserialize_cdr(data, topic.type)
        found.append((topic.name, topic.type, at * 1_000_000, message))
        accepted += topic.name == MARK and message.kind == 2
        if accepted == 2:
            return found
    raise AssertionError


@pytest.fixture
def recorded():
    return deepcopy(_original())


@cache
def _expected():
    return read_demonstrations(share() / "demos" / "valve", TASK)[:2]


def definition(kind):
    text, _ = typestore().generate_msgdef(kind, ros_version=2)
    return text


def write_mcap(path, recorded, compression=CompressionType.NONE, chunk=64 * 1024, **changed):
    """Write with the reference implementation of MCAP."""
    types, channels = typestore(), {}
    with path.open("wb") as file:
        writer = McapWriter(file, compression=compression, chunk_size=chunk, **changed)
        writer.start("ros2")
        for topic, kind, at, message in recorded:
            if topic not in channels:
                schema = writer.register_schema(kind, "ros2msg", definition(kind).encode())
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            data = bytes(types.serialize_cdr(message, kind))
            writer.add_message(channels[topic], at, data, at)
        writer.finish()
    return path


def write_bag(path, recorded, plugin=StoragePlugin.SQLITE3, version=9, compression=None):
    """Write a whole bag with rosbags."""
    types, connections = typestore(), {}
    writer = Writer(path, version=version, storage_plugin=plugin)
    if compression is not None:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        for topic, kind, at, message in recorded:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=types)
            writer.write(connections[topic], at, types.serialize_cdr(message, kind))
    return path


def split(recorded, folder, names, write=write_mcap):
    """Write a bag in parts of these names, with metadata.yaml in this order."""
    folder.mkdir()
    size = -(-len(recorded) // len(names))
    for i, name in enumerate(names):
        write(folder / name, recorded[i * size : (i + 1) * size])
    return describe(folder, names)


def describe(folder, names, **changed):
    facts = {"version": 9, "storage_identifier": "mcap", "relative_file_paths": list(names)}
    content = yaml.safe_dump({"rosbag2_bagfile_information": facts | changed})
    (folder / "metadata.yaml").write_text(content)
    return folder


def assert_same(read, expected=None, but=()):
    expected = _expected() if expected is None else expected
    assert len(read) == len(expected)
    for one, other in zip(read, expected, strict=True):
        assert (one.key, one.time) == (other.key, other.time)
        assert one.outcome == other.outcome or "outcome" in but
        for name, array in one.arrays.items():
            if name not in but:
                np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)


def refusal(path, task=TASK):
    with pytest.raises(BadDemonstrations) as caught:
        read_demonstrations(path, task)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 2000
    return message


# Joints.


def reorder(message, order):
    for name in ("name", "position", "velocity", "effort"):
        values = getattr(message, name)
        if len(values):
            moved = [values[i] for i in order]
            setattr(message, name, moved if name == "name" else np.array(moved))


def test_joints_in_another_order_are_matched_by_name(recorded, tmp_path):
    rng = np.random.default_rng(0)
    for message in recorded.on(HAND):
        reorder(message, rng.permutation(9))
    [session] = recorded.on(SESSION)
    session.joints = session.joints[::-1]
    assert_same(read_demonstrations(write_mcap(tmp_path / "a.mcap", recorded), TASK))


def test_a_joint_more_is_not_used(recorded, tmp_path):
    for message in recorded.on(HAND):
        message.name = ["wrist", *message.name]
        for name in ("position", "velocity", "effort"):
            setattr(message, name, np.insert(getattr(message, name), 0, 99.0))
    assert_same(read_demonstrations(write_mcap(tmp_path / "a.mcap", recorded), TASK))


def test_missing_velocities_are_differences_and_it_is_said(recorded, tmp_path, caplog):
    truth = read_recording(write_mcap(tmp_path / "a.mcap", recorded)).motions[0].hand
    for message in recorded.on(HAND):
        message.velocity, message.effort = np.zeros(0), np.zeros(0)
    path = write_mcap(tmp_path / "b.mcap", recorded)
    with caplog.at_level(logging.WARNING):
        read = read_demonstrations(path, TASK)
    assert "/hand/joint_states: velocities are missing; differences of pos" in caplog.text
    assert "/hand/joint_states: efforts are missing; 0 is used" in caplog.text
    assert_same(read, but=("rewards", "reward_terms"))
    hand = read_recording(path).motions[0].hand
    middle = slice(1, -1)
    expected = (truth.q[2:] - truth.q[:-2]) / (truth.stamp[2:] - truth.stamp[:-2])[:, None]
    np.testing.assert_allclose(hand.qd[middle], expected)
    assert not hand.effort.any()


BAD_JOINTS = {
    "one is missing": (
        lambda m: reorder(m, [0, 1, 2, 4, 5, 6, 7, 8]), r"message 41 on /hand/joint_states has no"
        r" joint MFJ20; it has FFJ10",
    ),
    "one has another name": (
        lambda m: m.name.__setitem__(2, "joint_3"), "message 41 on /hand/joint_states has no joint"
        " FFJ12",
    ),
    "one comes twice": (
        lambda m: m.name.__setitem__(2, "FFJ10"), "message 41 on /hand/joint_states has the joint"
        " FFJ10 twice",
    ),
    "no names": (
        lambda m: setattr(m, "name", []), "message 41 on /hand/joint_states has 0 names, 9",
    ),
    "fewer positions": (
        lambda m: setattr(m, "position", m.position[:8]), "message 41 on .* 9 names, 8 positions",
    ),
    "fewer velocities": (
        lambda m: setattr(m, "velocity", m.velocity[:8]), "message 41 on .* 8 velocities",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_JOINTS)
def test_joints_that_do_not_fit_are_refused_by_topic_message_and_joint(recorded, tmp_path, fault):
    change, words = BAD_JOINTS[fault]
    change(recorded.on(HAND)[40])
    with pytest.raises(BadDemonstrations, match=words):
        read_demonstrations(write_mcap(tmp_path / "a.mcap", recorded), TASK)


@pytest.mark.parametrize("joints", [["FFJ10"], ["a"] * 9, []])
def test_a_session_of_other_joints_is_refused(recorded, tmp_path, joints):
    recorded.on(SESSION)[0].joints = joints
    assert "its session has the joints" in refusal(write_mcap(tmp_path / "a.mcap", recorded))


# Storage.


@pytest.mark.parametrize("names", [("z.mcap", "a.mcap", "k.mcap"), ("b_9.mcap", "b_10.mcap")])
def test_split_bags_are_read_in_the_order_of_the_metadata(recorded, tmp_path, names):
    assert_same(read_demonstrations(split(recorded, tmp_path / "bag", names), TASK))


def test_parts_without_metadata_are_read_by_their_numbers(recorded, tmp_path):
    names = [f"bag_{i}.mcap" for i in range(11)]
    folder = split(recorded, tmp_path / "bag", names)
    (folder / "metadata.yaml").unlink()
    assert_same(read_demonstrations(folder, TASK))
    (folder / "bag_5.mcap").unlink()
    assert "not the parts of one bag" in refusal(folder)


def test_a_part_that_is_missing_is_named(recorded, tmp_path):
    folder = split(recorded, tmp_path / "bag", ("bag_0.mcap", "bag_1.mcap"))
    (folder / "bag_1.mcap").unlink()
    assert "bag_1.mcap is listed in metadata.yaml and missing" in refusal(folder)


@pytest.mark.parametrize("compression", [None, CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize("plugin", StoragePlugin)
def test_both_storages_are_read_plain_and_compressed(recorded, tmp_path, plugin, compression):
    bag = write_bag(tmp_path / "bag", recorded, plugin, compression=compression)
    assert_same(read_demonstrations(bag, TASK))
    (bag / "metadata.yaml").unlink()  # each file says by itself how it is stored
    assert_same(read_demonstrations(bag, TASK))


@pytest.mark.parametrize("compression", CompressionType)
def test_every_compression_of_chunks_is_read(recorded, tmp_path, compression):
    assert_same(read_demonstrations(write_mcap(tmp_path / "a.mcap", recorded, compression), TASK))


def test_a_file_without_chunks_is_read(recorded, tmp_path):
    path = write_mcap(tmp_path / "a.mcap", recorded, use_chunking=False)
    assert_same(read_demonstrations(path, TASK))


def test_a_database_before_iron_has_no_definitions_and_is_read(recorded, tmp_path):
    bag = write_bag(tmp_path / "bag", recorded, version=8)
    with sqlite3.connect(next(bag.glob("*.db3"))) as base:
        base.execute("DROP TABLE message_definitions")
        base.execute("DROP TABLE schema")
    assert_same(read_demonstrations(bag, TASK))


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 8, 9, 12])
def test_every_version_of_the_metadata_is_read(recorded, tmp_path, version):
    """Before version 4 the paths begin with the bag's folder; later ones may add keys."""
    folder = split(recorded, tmp_path / "bag", ("bag_0.mcap",))
    name = "bag/bag_0.mcap" if version < 4 else "bag_0.mcap"
    describe(folder, [name], version=version, something_new={"a": [1]})
    assert_same(read_demonstrations(folder, TASK))


BAD_METADATA = {
    "garbage": b"\xff\x00\x01",
    "unclosed": b"rosbag2_bagfile_information: {",
    "list": b"- 1\n- 2\n",
    "empty": b"",
    "no files": b"rosbag2_bagfile_information: {relative_file_paths: []}",
    "numbers": b"rosbag2_bagfile_information: {relative_file_paths: [1, 2]}",
    "twice": b"rosbag2_bagfile_information: {relative_file_paths: [a.mcap, a.mcap]}",
    "deep": b"[" * 100_000,
    "huge": b"#" * (2 * MIB),
    "elsewhere": b"rosbag2_bagfile_information: {relative_file_paths: [../../../etc/passwd]}",
    "itself": b"rosbag2_bagfile_information: {relative_file_paths: [metadata.yaml]}",
    "python": b"!!python/object/apply:os.system ['true']",
}


@pytest.mark.parametrize("fault", BAD_METADATA)
def test_metadata_that_describes_no_bag_is_refused(recorded, tmp_path, fault):
    (tmp_path / "metadata.yaml").write_bytes(BAD_METADATA[fault])
    write_mcap(tmp_path / "a.mcap", recorded)
    assert str(tmp_path) in refusal(tmp_path)


# Limits.


def record(opcode, content):
    return struct.pack("<BQ", opcode, len(content)) + content


def chunk(data, compression=b"", size=None, packed=None):
    packed = data if packed is None else packed
    head = struct.pack("<QQQII", 0, 0, len(data) if size is None else size, 0, len(compression))
    return record(6, head + compression + struct.pack("<Q", len(packed)) + packed)


def mcap(*records):
    return bag_storage.MCAP_MAGIC + record(1, bytes(8)) + b"".join(records)


def zeros(size):
    """Zero bytes, packed by zstd."""
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


GIB = 1024 * MIB
BOMBS = {
    "one chunk of 2 GiB": lambda: mcap(chunk(b"", b"zstd", 2 * GIB, zeros(2 * GIB))),
    "a chunk larger than it says": lambda: mcap(chunk(b"", b"zstd", 9, zeros(GIB))),
    "many chunks": lambda: mcap(*[chunk(b"", b"zstd", MAX_RECORD, zeros(MAX_RECORD))] * 33),
    "one chunk by lz4": lambda: mcap(
        chunk(b"", b"lz4", MAX_RECORD, lz4.frame.compress(bytes(MAX_RECORD)))
    ),
    "a compressed file": lambda: zeros(2 * GIB),  # is no bag by its first bytes
    "a compressed file that is MCAP": lambda: zstandard.compress(mcap(record(9, bytes(64 * MIB)))),
    "a record of an impossible length": lambda: mcap(struct.pack("<BQ", 6, 2**63)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_bag_that_unpacks_to_gigabytes_is_refused(tmp_path, bomb):
    """At once, and without the memory."""
    path = tmp_path / "bomb.mcap"
    path.write_bytes(BOMBS[bomb]())
    program = (
        "import resource, sys, time\n"
        "from handlab_core.errors import BadDemonstrations\n"
        "from handlab_data.demonstration_reader import read_recording\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before, began = peak(), time.monotonic()\n"
        "try:\n    read_recording(__import__('pathlib').Path(sys.argv[1]))\n"
        "except BadDemonstrations as error:\n"
        "    print(peak() - before, time.monotonic() - began, error)\n"
    )
    words = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    grown, took, message = done.stdout.split(maxsplit=2)
    assert int(grown) < 300 * 1024, grown  # KiB
    assert float(took) < 20.0
    assert "refused" in message or "ends within" in message or "is no" in message


ENDLESS = {
    "zero records": lambda: mcap(chunk(bytes(32 * MIB))),
    "empty private records": lambda: mcap(chunk(record(0x80, b"") * 1000)),
    "a chunk in a chunk": lambda: mcap(chunk(chunk(chunk(b"")))),
    "zero records in the file": lambda: mcap(bytes(32 * MIB)),
    "a channel longer than its record": lambda: mcap(
        record(4, struct.pack("<HHIIII", 1, 1, 1, 2**31, 3, 2**31))
    ),
    "a message shorter than its head": lambda: mcap(record(5, b"abc")),
}


@pytest.mark.parametrize("fault", ENDLESS)
def test_records_that_lead_nowhere_end(tmp_path, fault):
    path = tmp_path / "a.mcap"
    path.write_bytes(ENDLESS[fault]())
    began = time.monotonic()
    assert "it has no demonstration/session" in refusal(path)
    assert time.monotonic() - began < 10.0


def test_more_records_than_allowed_are_refused(recorded, tmp_path, monkeypatch):
    monkeypatch.setattr(bag_storage, "MAX_RECORDS", 100)
    assert "more than 100 records" in refusal(write_mcap(tmp_path / "a.mcap", recorded))
    assert "more than 100 records" in refusal(write_bag(tmp_path / "bag", recorded))


def test_a_database_that_never_ends_or_makes_its_data_up_is_refused(recorded, tmp_path):
    endless = (
        "CREATE VIEW messages AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id FROM n) "
        "SELECT id, 1 AS topic_id, 0 AS timestamp, zeroblob(1000000) AS data FROM n"
    )
    large = (
        "CREATE TABLE messages (id INTEGER PRIMARY KEY, topic_id, timestamp, "
        "data AS (zeroblob(900000000)))"
    )
    for number, statement in enumerate((endless, large)):
        bag = write_bag(tmp_path / str(number), recorded[:1])
        with sqlite3.connect(next(bag.glob("*.db3"))) as base:
            base.execute("DROP TABLE messages")
            base.execute(statement)
        assert "without a table messages" in refusal(bag)


def test_a_database_with_a_message_larger_than_allowed_is_refused(recorded, tmp_path):
    bag = write_bag(tmp_path / "bag", recorded[:1])
    with sqlite3.connect(next(bag.glob("*.db3"))) as base:
        base.execute("INSERT INTO messages SELECT 9, 1, 0, zeroblob(?)", (MAX_RECORD + 1,))
    assert "64 MiB are allowed" in refusal(bag)


SELF = {
    "contains itself": "handlab_interfaces/DemonstrationMark again",
    "a list of itself": "handlab_interfaces/DemonstrationMark[] again",
    "no definition": "",
    "no grammar": "]]] x",
    "too long": "float64 a\n" * 10_000,
}


@pytest.mark.parametrize("fault", SELF)
def test_a_definition_that_cannot_be_used_is_refused(recorded, tmp_path, monkeypatch, fault):
    kind = "handlab_interfaces/msg/DemonstrationMark"
    ours = definition(kind)
    text = f"{SELF[fault]}\n{ours}" if "itself" in fault else SELF[fault]
    monkeypatch.setitem(globals(), "definition", lambda k: text if k == kind else original(k))
    assert f"{MARK}: " in refusal(write_mcap(tmp_path / "a.mcap", recorded))


original = definition


IDL = """
module builtin_interfaces { module msg { struct Time { long sec; unsigned long nanosec; }; }; };
module std_msgs { module msg { struct Header {
  builtin_interfaces::msg::Time stamp; string frame_id; }; }; };
module handlab_interfaces { module msg { struct ObjectState {
  std_msgs::msg::Header header; double angle; double velocity;
  double angle_variance; double velocity_variance; unsigned long rejections; }; }; };
"""


def test_definitions_in_idl_are_read(recorded, tmp_path, monkeypatch):
    """As rosbag2 writes them where a package brings no .msg file."""
    kind, ours = NEEDED[OBJECT[1:]][0], definition(NEEDED[OBJECT[1:]][0]).encode()
    register = McapWriter.register_schema

    def in_idl(writer, name, encoding, data):
        if name == kind:
            assert data == ours
            encoding, data = "ros2idl", IDL.encode()
        return register(writer, name, encoding, data)

    monkeypatch.setattr(McapWriter, "register_schema", in_idl)
    assert_same(read_demonstrations(write_mcap(tmp_path / "a.mcap", recorded), TASK))


@pytest.mark.parametrize("text", ["\x1b[2J\n" * 9, "x" * 10**6, "\ud7ff\u202e"])
def test_texts_of_a_bag_stay_on_one_line_of_a_message(recorded, tmp_path, text):
    for mark in recorded.on(MARK):
        mark.kind, mark.reason = 3, text
    message = refusal(write_mcap(tmp_path / "a.mcap", recorded))
    assert message.isprintable() and "no demonstration that can be used; 0: " in message
    recorded.on(SESSION)[0].task = text
    message = refusal(write_mcap(tmp_path / "b.mcap", recorded))
    assert message.isprintable() and "its task is" in message
    recorded.on(SESSION)[0].joints = [text] * 9
    assert refusal(write_mcap(tmp_path / "c.mcap", recorded)).isprintable()


# Bags of something else.


def test_empty_and_foreign_files_are_no_bags(tmp_path):
    for content, words in ((b"", "is empty"), (b"hello" * 1000, "neither an MCAP file nor")):
        (tmp_path / "a.mcap").write_bytes(content)
        assert words in refusal(tmp_path / "a.mcap")
        assert words in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "nothing")
    assert "cannot be read" in refusal(Path("x" * 300))
    assert "is no bag" in refusal(tmp_path.parent)
    assert "no file and no folder" in refusal(Path("/dev/zero"))
    (tmp_path / "b.db3").write_bytes(bag_storage.SQLITE_MAGIC + bytes(1000))
    assert "b.db3" in refusal(tmp_path / "b.db3")


def test_a_topic_of_another_type_or_encoding_is_refused_by_name(recorded, tmp_path):
    kind, header = "std_msgs/msg/Header", recorded.on(OBJECT)[0].header
    other = Recorded(
        (topic, kind, at, header) if topic == OBJECT else (topic, of, at, message)
        for topic, of, at, message in recorded
    )
    message = refusal(write_mcap(tmp_path / "a.mcap", other))
    assert f"{OBJECT} is of type {kind}, not handlab_interfaces/msg/ObjectState" in message
    path = tmp_path / "b.mcap"
    content = write_mcap(path, recorded, use_chunking=False, enable_data_crcs=False).read_bytes()
    path.write_bytes(content.replace(b"\x03\0\0\0cdr", b"\x03\0\0\0xml"))
    assert "is encoded as xml; only cdr can be read" in refusal(path)


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        (SESSION, "it has no demonstration/session"),
        (HAND, "nothing was recorded of the hand"),
        (OBJECT, "nothing was recorded of the object"),
        (GOAL, "its goal"),
        (MARK, "none was recorded"),
    ],
)
def test_a_missing_topic_is_named(recorded, tmp_path, topic, words):
    left = Recorded(entry for entry in recorded if entry[0] != topic)
    assert words in refusal(write_mcap(tmp_path / "a.mcap", left))


def test_a_bag_of_several_robots_is_refused_and_a_second_without_session_is_not_read(
    recorded, tmp_path
):
    second = deepcopy(recorded.rename(lambda name: f"/left{name}"))
    for message in second.on(f"/left{HAND}"):
        message.position = message.position + 0.1
    both = Recorded([*recorded, *second])
    assert "in the namespaces /, /left" in refusal(write_mcap(tmp_path / "a.mcap", both))
    quiet = Recorded(entry for entry in both if entry[0] != f"/left{SESSION}")
    assert_same(read_demonstrations(write_mcap(tmp_path / "b.mcap", quiet), TASK))
    assert_same(read_demonstrations(write_mcap(tmp_path / "c.mcap", second), TASK), but=(
        "observations", "actions", "rewards", "reward_terms"
    ))  # fmt: skip


def test_other_things_of_such_names_elsewhere_do_not_matter(recorded, tmp_path):
    kind, header = "std_msgs/msg/Header", recorded.on(OBJECT)[0].header
    foreign = Recorded((f"/camera{topic}", kind, 0, header) for topic in (OBJECT, HAND, MARK))
    path = write_mcap(tmp_path / "a.mcap", Recorded([*foreign, *recorded]))
    assert_same(read_demonstrations(path, TASK))
    assert "it has no demonstration/session; /camera" in refusal(
        write_mcap(tmp_path / "b.mcap", foreign)
    )


def test_two_sessions_are_refused(recorded, tmp_path):
    other = deepcopy(recorded.on(SESSION)[0])
    other.teacher = "another"
    recorded.append((SESSION, NEEDED[SESSION[1:]][0], 10**12, other))
    assert "two different sessions" in refusal(write_mcap(tmp_path / "a.mcap", recorded))


# Numbers, times, goals and marks.


def middle(recorded, topic):
    """A message within the first demonstration."""
    began, ended = (mark.header.stamp for mark in recorded.on(MARK)[:2])
    times = [s.sec + s.nanosec / 1e9 for s in (began, ended)]
    during = [
        m for m in recorded.on(topic)
        if times[0] < m.header.stamp.sec + m.header.stamp.nanosec / 1e9 < times[1]
    ]  # fmt: skip
    return during[len(during) // 2]


def set_item(field, index):
    def change(message, value):
        values = np.array(getattr(message, field))
        values[index] = value
        setattr(message, field, values)

    return change


def set_field(field):
    return lambda message, value: setattr(message, field, value)


NUMBERS = {
    "position": (HAND, set_item("position", 4), "the position of MFJ21 is"),
    "velocity": (HAND, set_item("velocity", 0), "the velocity of FFJ10 is"),
    "effort": (HAND, set_item("effort", 8), "the effort of THJ32 is"),
    "fixture": (FIXTURE, set_item("position", 0), "the position of fixture is"),
    "angle": (OBJECT, set_field("angle"), "the angle of object is"),
    "turning": (OBJECT, set_field("velocity"), "the velocity of object is"),
    "goal": (GOAL, set_item("angle", 0), "the angle of goal is"),
    "goal's velocity": (GOAL, set_item("velocity", 0), "the velocity of goal is"),
    "reset": (MARK, set_field("reset_s"), "the reset before it took"),
}


@pytest.mark.parametrize("value", BAD_NUMBERS)
@pytest.mark.parametrize("name", NUMBERS)
def test_an_impossible_number_leaves_its_demonstration_out_by_name(
    recorded, tmp_path, caplog, name, value
):
    topic, change, words = NUMBERS[name]
    where = recorded.on(topic)[0] if topic in (GOAL, MARK) else middle(recorded, topic)
    change(where, value)
    with caplog.at_level(logging.WARNING):
        read = read_demonstrations(write_mcap(tmp_path / "a.mcap", recorded), TASK)
    assert_same(read, _expected()[1:])
    assert f"demonstration 0 is left out: {words} {value:g}" in caplog.text


def test_a_joint_that_is_half_a_turn_out_of_its_range_leaves_it_out(recorded, tmp_path):
    middle(recorded, HAND).position[1] += 2 * np.pi
    recording = read_recording(write_mcap(tmp_path / "a.mcap", recorded))
    assert list(recording.motions) == [1]
    assert "FFJ11 is at" in recording.dropped[0] and "far from its range" in recording.dropped[0]


@pytest.mark.parametrize("topic", [HAND, FIXTURE, OBJECT])
def test_time_that_goes_back_leaves_it_out(recorded, tmp_path, topic):
    stamp = middle(recorded, topic).header.stamp
    first = recorded.on(MARK)[0].header.stamp
    stamp.sec, stamp.nanosec = first.sec, first.nanosec + 1
    recording = read_recording(write_mcap(tmp_path / "a.mcap", recorded))
    assert list(recording.motions) == [1]
    assert "goes back during it" in recording.dropped[0]


@pytest.mark.parametrize("stamp", [(-1, 0), (0, 2**32 - 1)])
def test_an_impossible_stamp_is_refused_by_topic_and_message(recorded, tmp_path, stamp):
    found = recorded.on(OBJECT)[7].header.stamp
    found.sec, found.nanosec = stamp
    assert f"message 8 on {OBJECT} has the impossible stamp" in refusal(
        write_mcap(tmp_path / "a.mcap", recorded)
    )


@pytest.mark.parametrize("size", [0, 2, 9])
def test_a_goal_of_another_size_leaves_it_out(recorded, tmp_path, size):
    for goal in recorded.on(GOAL):
        goal.angle, goal.velocity = np.zeros(size), np.zeros(size)
    message = refusal(write_mcap(tmp_path / "a.mcap", recorded))
    assert f"has a goal of {size} angles; valve has 1" in message


def mark(recorded, number):
    return recorded.on(MARK)[number]


def end_later(recorded, seconds):
    for number in (1, 2):
        mark(recorded, number).header.stamp.sec += seconds


BAD_MARKS = {
    "ends before it begins": lambda r: end_later(r, -mark(r, 1).header.stamp.sec),
    "ends after the recording": lambda r: end_later(r, 60),
    "ends in years": lambda r: end_later(r, 10**9),
    "ends twice": lambda r: setattr(mark(r, 2), "kind", 1),
    "never begins": lambda r: setattr(mark(r, 0), "kind", 1),
    "is of an unknown kind": lambda r: setattr(mark(r, 1), "kind", 77),
    "accepted elsewhere": lambda r: setattr(mark(r, 2).header.stamp, "nanosec", 1),
    "never accepted": lambda r: setattr(mark(r, 2), "kind", 3),
    "of another number": lambda r: setattr(mark(r, 1), "episode", 17),
}


@pytest.mark.parametrize("fault", BAD_MARKS)
def test_marks_that_do_not_fit_leave_their_demonstration_out(recorded, tmp_path, fault):
    BAD_MARKS[fault](recorded)
    assert_same(
        read_demonstrations(write_mcap(tmp_path / "a.mcap", recorded), TASK), _expected()[1:]
    )


def test_the_marks_of_a_take_that_is_repeated_are_not_mixed(recorded, tmp_path):
    """The begin of the second take is lost: its end must not go with the first one's begin."""
    began, _, accepted = recorded.on(MARK)[:3]
    for later in recorded.on(MARK)[3:]:
        later.episode = began.episode
    accepted.kind, accepted.reason = 3, "again"
    lost = recorded.on(MARK)[3]
    left = Recorded(entry for entry in recorded if entry[3] is not lost)
    assert "fits no mark before" in refusal(write_mcap(tmp_path / "a.mcap", left))


# Damage.


def test_our_own_recordings_carry_checksums(recorded, tmp_path):
    """Of every chunk, those that are flushed as well."""
    types = typestore()
    writer, connections = BagWriter(tmp_path / "bag"), {}
    for count, (topic, kind, at, message) in enumerate(recorded):
        if topic not in connections:
            connections[topic] = writer.connect(topic, kind)
        writer.write(connections[topic], at, bytes(types.serialize_cdr(message, kind)))
        if count % 500 == 0:
            writer.flush()
    writer.close()
    assert_same(read_demonstrations(tmp_path / "bag", TASK))
    [path] = (tmp_path / "bag").glob("*.mcap")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    recording = read_recording(tmp_path / "bag")
    assert "its checksum is wrong" in recording.damage[0] and not recording.whole


def test_a_chunk_that_is_damaged_costs_only_its_demonstration(recorded, tmp_path, caplog):
    content = write_mcap(tmp_path / "a.mcap", recorded, chunk=8 * 1024).read_bytes()
    (tmp_path / "a.mcap").write_bytes(_flipped(content, len(content) // 3))
    with caplog.at_level(logging.WARNING):
        assert_same(read_demonstrations(tmp_path / "a.mcap", TASK), _expected()[1:])
    assert "the chunk at byte" in caplog.text and "1 whole episodes are used" in caplog.text


def _flipped(content, place):
    changed = bytearray(content)
    changed[place] ^= 0x10
    return bytes(changed)


def judge(path):
    """Read; every episode must be one of the right ones, and it must end soon."""
    began = time.monotonic()
    try:
        read = read_demonstrations(path, TASK)
    except BadDemonstrations as error:
        assert "\n" not in str(error)
        read = []
    assert time.monotonic() - began < 20.0
    right = {episode.number: episode for episode in _expected()}
    for episode in read:
        assert_same([episode], [right[episode.number]])


@cache
def _content():
    with tempfile.TemporaryDirectory() as folder:
        return write_mcap(Path(folder) / "a.mcap", deepcopy(_original())).read_bytes()


LAWS = settings(
    max_examples=40, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@LAWS
@given(data=st.data())
def test_a_bag_with_flipped_bytes_gives_the_right_episodes_or_none(tmp_path, data):
    content = bytearray(_content())
    places = st.integers(0, len(content) - 1) | st.integers(0, 200) | st.integers(-200, -1)
    for at in data.draw(st.lists(places, min_size=1, max_size=4), "places"):
        content[at] ^= data.draw(st.integers(1, 255), "change")
    (tmp_path / "a.mcap").write_bytes(content)
    judge(tmp_path / "a.mcap")


@LAWS
@given(begin=st.floats(0, 1), length=st.integers(1, 5000), insert=st.binary(max_size=50))
def test_a_bag_with_a_piece_cut_out_gives_the_right_episodes_or_none(
    tmp_path, begin, length, insert
):
    content = _content()
    at = int(begin * len(content))
    (tmp_path / "a.mcap").write_bytes(content[:at] + insert + content[at + length :])
    judge(tmp_path / "a.mcap")


NUMERIC = {
    HAND: ("position", "velocity", "effort"),
    FIXTURE: ("position", "velocity", "effort"),
    OBJECT: ("angle", "velocity"),
    GOAL: ("angle", "velocity"),
    MARK: ("reset_s",),
}


def replace_number(message, field, value):
    if isinstance(getattr(message, field), float):
        setattr(message, field, value)
    elif len(getattr(message, field)):
        set_item(field, -1)(message, value)


@LAWS
@given(
    dropped=st.lists(st.floats(0, 1, exclude_max=True), max_size=3),
    replaced=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(BAD_NUMBERS)), max_size=3
    ),
)
def test_lost_messages_and_impossible_numbers_give_the_right_episodes_or_none(
    tmp_path, dropped, replaced
):
    """With valid checksums: as another recorder, or another driver, would have written it."""
    recorded = deepcopy(_original())
    for part, value in replaced:
        topic, _, _, message = recorded[int(part * len(recorded))]
        for field in NUMERIC.get(topic, ()):
            replace_number(message, field, value)
    for part in dropped:
        del recorded[int(part * len(recorded))]
    judge(write_mcap(tmp_path / "a.mcap", recorded))
