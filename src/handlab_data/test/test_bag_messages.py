"""Joints by name, definitions and types of a bag's messages."""

import logging

import numpy as np
import pytest
from mcap.writer import Writer as McapWriter

from handlab_core.errors import BadDemonstrations
from handlab_data.bag_messages import NEEDED
from handlab_data.demonstration_reader import read_recording

HAND = "/hand/joint_states"
OBJECT = "/object/state"
SESSION = "/demonstration/session"
MARK = "/demonstration/mark"


def reorder(message, order):
    for name in ("name", "position", "velocity", "effort"):
        values = getattr(message, name)
        if len(values):
            moved = [values[i] for i in order]
            setattr(message, name, moved if name == "name" else np.array(moved))


def test_joints_in_another_order_are_matched_by_name(bags, recorded, tmp_path):
    rng = np.random.default_rng(0)
    for message in recorded.on(HAND):
        reorder(message, rng.permutation(9))
    [session] = recorded.on(SESSION)
    session.joints = session.joints[::-1]
    bags.assert_same(bags.read(bags.write_mcap(tmp_path / "a.mcap", recorded)))


def test_a_joint_more_is_not_used(bags, recorded, tmp_path):
    for message in recorded.on(HAND):
        message.name = ["wrist", *message.name]
        for name in ("position", "velocity", "effort"):
            setattr(message, name, np.insert(getattr(message, name), 0, 99.0))
    bags.assert_same(bags.read(bags.write_mcap(tmp_path / "a.mcap", recorded)))


def test_missing_velocities_are_differences_and_it_is_said(bags, recorded, tmp_path, caplog):
    truth = read_recording(bags.write_mcap(tmp_path / "a.mcap", recorded)).motions[0].hand
    for message in recorded.on(HAND):
        message.velocity, message.effort = np.zeros(0), np.zeros(0)
    path = bags.write_mcap(tmp_path / "b.mcap", recorded)
    with caplog.at_level(logging.WARNING):
        read = bags.read(path)
    assert "/hand/joint_states: velocities are missing; differences of pos" in caplog.text
    assert "/hand/joint_states: efforts are missing; 0 is used" in caplog.text
    bags.assert_same(read, but=("rewards", "reward_terms"))
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
def test_joints_that_do_not_fit_are_refused_by_topic_message_and_joint(
    bags, recorded, tmp_path, fault
):
    change, words = BAD_JOINTS[fault]
    change(recorded.on(HAND)[40])
    with pytest.raises(BadDemonstrations, match=words):
        bags.read(bags.write_mcap(tmp_path / "a.mcap", recorded))


SELF = {
    "contains itself": "handlab_interfaces/DemonstrationMark again",
    "a list of itself": "handlab_interfaces/DemonstrationMark[] again",
    "no definition": "",
    "no grammar": "]]] x",
    "too long": "float64 a\n" * 10_000,
}


@pytest.mark.parametrize("fault", SELF)
def test_a_definition_that_cannot_be_used_is_refused(bags, recorded, tmp_path, monkeypatch, fault):
    kind, register = NEEDED[MARK[1:]][0], McapWriter.register_schema

    def spoiled(writer, name, encoding, data):
        ours = data.decode()
        text = f"{SELF[fault]}\n{ours}" if "itself" in fault else SELF[fault]
        return register(writer, name, encoding, text.encode() if name == kind else data)

    monkeypatch.setattr(McapWriter, "register_schema", spoiled)
    assert f"{MARK}: " in bags.refusal(bags.write_mcap(tmp_path / "a.mcap", recorded))


IDL = """
module builtin_interfaces { module msg { struct Time { long sec; unsigned long nanosec; }; }; };
module std_msgs { module msg { struct Header {
  builtin_interfaces::msg::Time stamp; string frame_id; }; }; };
module handlab_interfaces { module msg { struct ObjectState {
  std_msgs::msg::Header header; double angle; double velocity;
  double angle_variance; double velocity_variance; unsigned long rejections; }; }; };
"""


def test_definitions_in_idl_are_read(bags, recorded, tmp_path, monkeypatch):
    """As rosbag2 writes them where a package brings no .msg file."""
    kind, register = NEEDED[OBJECT[1:]][0], McapWriter.register_schema

    def in_idl(writer, name, encoding, data):
        if name == kind:
            encoding, data = "ros2idl", IDL.encode()
        return register(writer, name, encoding, data)

    monkeypatch.setattr(McapWriter, "register_schema", in_idl)
    bags.assert_same(bags.read(bags.write_mcap(tmp_path / "a.mcap", recorded)))


def test_a_topic_of_another_type_or_encoding_is_refused_by_name(bags, recorded, tmp_path):
    kind, header = "std_msgs/msg/Header", recorded.on(OBJECT)[0].header
    other = bags.collect(
        (topic, kind, at, header) if topic == OBJECT else (topic, of, at, message)
        for topic, of, at, message in recorded
    )
    message = bags.refusal(bags.write_mcap(tmp_path / "a.mcap", other))
    assert f"{OBJECT} is of type {kind}, not handlab_interfaces/msg/ObjectState" in message
    path = tmp_path / "b.mcap"
    content = bags.write_mcap(
        path, recorded, use_chunking=False, enable_data_crcs=False
    ).read_bytes()
    path.write_bytes(content.replace(b"\x03\0\0\0cdr", b"\x03\0\0\0xml"))
    assert "is encoded as xml; only cdr can be read" in bags.refusal(path)


@pytest.mark.parametrize("stamp", [(-1, 0), (0, 2**32 - 1)])
def test_an_impossible_stamp_is_refused_by_topic_and_message(bags, recorded, tmp_path, stamp):
    found = recorded.on(OBJECT)[7].header.stamp
    found.sec, found.nanosec = stamp
    assert f"message 8 on {OBJECT} has the impossible stamp" in bags.refusal(
        bags.write_mcap(tmp_path / "a.mcap", recorded)
    )
