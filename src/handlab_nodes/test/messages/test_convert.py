"""Messages and values are inverse to each other."""

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState as JointStateMsg

from handlab_core.environment.episode import Episode, EpisodeKey, Outcome, RobotTime, Trajectory
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.errors import LayoutMismatch
from handlab_core.estimation.angle import AngleEstimate
from handlab_core.estimation.detection import Detection
from handlab_core.tasks import make_task
from handlab_core.types import Command, Goal, JointState, Reward
from handlab_interfaces import msg as wire
from handlab_nodes.messages import cdr_codec, convert

NAMES = ["a", "b", "c"]


def through_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


@pytest.mark.parametrize("ns", [0, 1, 999_999_999, 10**9, 123_456_789_012_345, 10**14 + 1])
def test_stamps_survive(ns):
    seconds = ns / 1e9
    assert convert.from_stamp(convert.to_stamp(seconds)) == seconds


def test_a_command_may_be_partial_reordered_or_bare():
    partial = JointStateMsg(name=["c", "stranger", "a"], position=[3.0, 9.0, 1.0])
    got = convert.command(partial, NAMES)
    np.testing.assert_array_equal(got.q, [[1.0, np.nan, 3.0]])
    np.testing.assert_array_equal(got.effort, [[np.inf] * 3])
    bare = convert.command(JointStateMsg(position=[1.0, 2.0, 3.0]), NAMES)
    np.testing.assert_array_equal(bare.q, [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize(
    "message",
    [
        JointStateMsg(name=["a", "b"], position=[1.0]),
        JointStateMsg(position=[1.0]),
        JointStateMsg(name=["a", "b"], position=[1.0, 2.0], effort=[1.0]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(message):
    with pytest.raises(ValueError, match="joints, but"):
        convert.command(message, NAMES)


def test_a_goal_survives():
    angles, velocities = np.array([[3.1, -1.0, 0.3]]), np.array([[0.2, 0.0, -0.1]])
    goal = Goal(np.array([7]), np.array([1.5]), angles, velocities)
    after = convert.goal(through_the_wire(convert.goal_msg(goal)))
    for name in ("episode", "stamp", "angle", "velocity"):
        np.testing.assert_array_equal(getattr(after, name), getattr(goal, name))


def test_an_episode_survives():
    rng = np.random.default_rng(0)
    arrays = {
        "observations": rng.normal(size=(5, 3)), "actions": rng.normal(size=(4, 2)),
        "rewards": rng.normal(size=4), "reward_terms": rng.normal(size=(4, 2)),
        "errors": rng.normal(size=4), "temperatures": np.array([40.0, np.nan]),
        "goal_angle": rng.normal(size=2),
    }  # fmt: skip
    temperatures = arrays.pop("temperatures")
    before = Episode(
        EpisodeKey(3, seed=2**63, policy_version=2, deterministic=True), Trajectory(**arrays),
        Outcome(success=True, strict_success=False, terminated=True),
        RobotTime(0.4, reset_s=1.1, cooling_s=0.5, reset_attempts=2, breaks=1), temperatures,
        np.array([0.0, 1.0, 1.0, 0.0]),
    )  # fmt: skip
    after = convert.episode(through_the_wire(convert.episode_msg(before, 9.0)))
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(after.arrays[name], array)
    assert (after.key, after.outcome, after.time) == (before.key, before.outcome, before.time)


def test_a_policy_survives_and_one_of_another_layout_is_refused():
    task = make_task("valve")
    rng, o, n = np.random.default_rng(0), task.observation_size, task.hand.n
    before = GaussianPolicy(
        (rng.normal(size=(o, n)),), (rng.normal(size=n),), np.zeros(n), np.zeros(o), np.ones(o), 5
    )
    message = through_the_wire(convert.policy_msg(before, task))
    x = rng.normal(size=(1, o))
    after = convert.policy(message, task)
    np.testing.assert_array_equal(after.act(x), before.act(x))
    assert after.version == 5
    message.layout = "[]"
    with pytest.raises(LayoutMismatch):
        convert.policy(message, task)


def codecs_and_messages():
    rng = np.random.default_rng(0)
    reading = JointState(np.array([123.456789012]), *(rng.normal(size=(1, 3)) for _ in range(3)))
    asked = Command(rng.normal(size=(1, 3)), np.array([[0.0, np.inf, 2.0]]))
    estimate = AngleEstimate(7.000000001, -3.5, 0.25, 1e-9, 2.0, 0.1, 4)
    reward = Reward(np.array([2.0]), np.array([[1.5, 0.5]]), np.array([-0.1]), np.array([True]))
    return [
        (cdr_codec.JointStates(NAMES).pack(reading), JointStateMsg),
        (cdr_codec.Commands(NAMES).pack(asked, 99.5), JointStateMsg),
        (cdr_codec.ObjectStates().pack(estimate), wire.ObjectState),
        (cdr_codec.Rewards(2).pack(reward, 7, np.array([1.5])), wire.Reward),
    ]


@pytest.mark.parametrize("index", range(4))
def test_packed_bytes_are_the_ordinary_message(index):
    """rclpy reads what was packed, and packs it to something the codec reads the same."""
    data, kind = codecs_and_messages()[index]
    message = deserialize_message(data, kind)
    if index == 0:
        assert message.name == NAMES and convert.from_stamp(message.header.stamp) == 123.456789012
        again = cdr_codec.JointStates(NAMES).unpack(serialize_message(message))
        np.testing.assert_array_equal(again.q[0], message.position)
        np.testing.assert_array_equal(again.qd[0], message.velocity)
        np.testing.assert_array_equal(again.effort[0], message.effort)
    elif index == 1:
        command, stamp = cdr_codec.Commands(NAMES).unpack(serialize_message(message))
        assert stamp == 99.5 and list(message.effort) == [0.0, np.inf, 2.0]
        np.testing.assert_array_equal(command.q[0], message.position)
    elif index == 2:
        got = cdr_codec.ObjectStates().unpack(serialize_message(message))
        assert (message.angle, message.velocity, message.rejections) == (-3.5, 0.25, 4)
        assert (message.angle_variance, message.velocity_variance) == (1e-9, 2.0)
        assert (got.stamp[0], got.angle[0], got.velocity[0]) == (7.000000001, -3.5, 0.25)
    else:
        got = cdr_codec.Rewards(2).unpack(serialize_message(message))
        assert cdr_codec.Rewards(2).key(data) == (7, 1.5) and message.success
        assert (message.total, list(message.terms), message.error) == (2.0, [1.5, 0.5], -0.1)
        assert (got.total[0], got.error[0], bool(got.success[0])) == (2.0, -0.1, True)


def test_padding_may_hold_anything():
    """Serialisers leave old memory between fields; a codec must not look at it."""
    commands, same = cdr_codec.Commands(NAMES), 0
    for _ in range(200):
        junk = [serialize_message(JointStateMsg(name=["x" * 50])) for _ in range(3)]
        message = JointStateMsg(name=NAMES, position=[1.0, 2.0, 3.0], effort=[1.0] * 3)
        same += commands._layout.split(serialize_message(message)) is not None
        del junk
    assert same == 200


@pytest.mark.parametrize(
    "message",
    [
        JointStateMsg(name=["c", "b", "a"], position=[3.0, 2.0, 1.0], effort=[1.0] * 3),
        JointStateMsg(name=NAMES, position=[1.0, 2.0, 3.0], velocity=[1.0] * 3),
        JointStateMsg(name=NAMES, position=[1.0, 2.0, 3.0]),
    ],
)
def test_messages_of_another_shape_are_read_the_long_way(message):
    command, _ = cdr_codec.Commands(NAMES).unpack(serialize_message(message))
    np.testing.assert_array_equal(command.q, [[1.0, 2.0, 3.0]])


def test_a_detection_survives_and_so_does_none():
    covariance = tuple(float(i) for i in range(36))
    value = Detection(1.000000003, (0.1, -0.2, 0.3), (0.5, -0.5, 0.5, 0.5), covariance)
    message = convert.detection_msg(value)
    assert convert.detection(message) == value
    assert message.pose.pose.orientation.w == 0.5 and message.pose.pose.orientation.x == -0.5
    assert convert.detection(convert.no_more_msg(2.000000001)) == 2.000000001
