"""Replays through driver and clamp, and on a screen."""

import numpy as np
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from handlab.graph.config import GraphConfig, build_graph
from handlab.teaching.scripted import Classroom
from handlab_core.tasks import make_task
from handlab_data.demonstration_reader import read_recording
from handlab_interfaces import msg as wire
from handlab_interfaces.action import ReplayDemonstration
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime.actions import RestartSafeActionClient

TASK = make_task("valve")
REPLAYING = {"driver": {}, "estimator": {}, "reward": {}, "reset": {}, "replay": {}}


def replayed(node, loop, bag, **goal):
    action_client = RestartSafeActionClient(
        node, loop, ReplayDemonstration, topics.REPLAY_DEMONSTRATION
    )
    return action_client.ask(ReplayDemonstration.Goal(bag=str(bag), **goal), 120.0)


def test_a_hand_repeats_a_demonstration_from_where_it_began_and_only_from_there(
    recorded, processes
):
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


def test_the_replay_of_another_task_is_refused(recorded, processes):
    bag, _ = recorded
    parameters = {"replay": {"task": "flip", "look": True}}
    with processes(parameters) as (_, node, loop):
        refused = replayed(node, loop, bag)
    assert not refused.success and "its task is valve, not flip" in refused.message


def test_looking_shows_what_was_recorded_and_needs_no_driver(recorded, processes):
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
        loop.wait(all_came, "the last state and its reward", 60.0)
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
