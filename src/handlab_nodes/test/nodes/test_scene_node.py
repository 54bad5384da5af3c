"""The scene: what rviz gets of a station, on /tf and as markers."""

import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import rclpy
import yaml
from rclpy.context import Context
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from handlab.graph.config import GraphConfig, build_graph, station_description
from handlab.graph.processes import command
from handlab_core.environment.station import start_request
from handlab_core.estimation.quaternions import rotate
from handlab_core.hands.fingertip_force import FingertipForces
from handlab_core.hands.kinematics import KinematicTree, Pose
from handlab_core.system.paths import share
from handlab_core.tasks import make_task
from handlab_core.types import Goal
from handlab_nodes.clients.graph_station import GraphStation
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.messages.scene_messages import FORCE_LENGTH
from handlab_nodes.nodes.scene_node import SceneNode
from handlab_nodes.runtime.event_loop import EventLoop

TASK = make_task("valve")


@pytest.fixture
def show():
    """A function that starts the scene of a task, and gives a node beside it and their loop."""
    contexts, loops = [], []

    def start(task, namespace="", **parameters):
        parameters |= {"task": task, "robot_description": station_description(task)}
        (spec,) = [n for n in build_graph(GraphConfig(task, scene=True)) if n.name == "scene"]
        assert set(spec.parameters) <= set(parameters) | {"reward", "frames", "use_sim_time"}
        words = []
        for name, value in parameters.items():
            words += ["-p", f"{name}:={yaml.safe_dump(value, width=10**9).strip()}"]
        rclpy.init(args=["--ros-args", "-r", f"__ns:=/{namespace}", *words])
        scene = SceneNode()
        context = Context()
        rclpy.init(context=context, args=["--ros-args", "-r", f"__ns:=/{namespace}"])
        # As the node that publishes all these in a graph that only shows.
        other = rclpy.create_node("replay", context=context)
        contexts.append(context)
        loops.extend([EventLoop(scene), EventLoop(other, context=context)])
        return scene, other, Both(*loops)

    yield start
    for loop in loops:
        loop.close()
    for context in contexts:
        context.try_shutdown()
    rclpy.try_shutdown()


class Both:
    """Spins the scene and the node beside it, whose contexts differ."""

    def __init__(self, *loops):
        self.loops = loops

    def until(self, done, seconds=60.0):
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, "it did not come"
            for loop in self.loops:
                loop.once(0.005)


def joints_at(task, stamp, seed=0):
    rng = np.random.default_rng(seed)
    names = (*task.hand.joints, task.fixture.joint, *task.fixture.passive)
    q = rng.uniform(-0.3, 0.3, len(names))
    message = JointState(name=names, position=q.tolist())
    message.header.stamp = convert.to_stamp(stamp)
    described = (*task.hand.moving, task.fixture.joint, *task.fixture.passive)
    q[task.hand.n] *= task.fixture.per_rad
    shape = np.concatenate((task.hand.shape(q[: task.hand.n]), q[task.hand.n :]))
    return message, dict(zip(described, shape.tolist(), strict=True))


def pose_of(transform):
    moved, turned = transform.transform.translation, transform.transform.rotation
    return Pose((moved.x, moved.y, moved.z), (turned.w, turned.x, turned.y, turned.z))


def look_up(transforms, link):
    """Return a frame's pose in the root, as a tf2 buffer chains it."""
    above, pose = {t.child_frame_id: t for t in transforms}, Pose()
    while link in above:
        pose = pose_of(above[link]).then(pose)
        link = above[link].header.frame_id
    return link, pose


def goal_of(angles, velocity=0.0, stamp=2.0):
    angle = np.array([angles], float)
    return Goal(np.array([3]), np.array([stamp]), angle, np.full_like(angle, velocity))


PLACES = [("valve_foam", ""), ("allegro_valve", "left"), ("soft_bead", "")]


@pytest.mark.parametrize(("task", "namespace"), PLACES)
def test_tf_has_every_link_where_the_joints_bring_it(show, task, namespace):
    task, prefix = make_task(task), f"{namespace}/" if namespace else ""
    _, other, both = show(task.name, namespace)
    fixed, moved = [], []
    other.create_subscription(TFMessage, "/tf_static", fixed.append, qos.LATCHED)
    other.create_subscription(TFMessage, "/tf", moved.append, qos.TRANSFORMS)
    joints = other.create_publisher(JointState, topics.JOINT_STATES, qos.REPORT)
    both.until(lambda: fixed and joints.get_subscription_count() and other.count_publishers("/tf"))
    message, positions = joints_at(task, 2.5)
    message.name, message.position = [*message.name, "no_joint"], [*message.position, 1.0]
    joints.publish(message)
    both.until(lambda: moved)
    transforms = [*fixed[0].transforms, *moved[0].transforms]
    tree = KinematicTree(station_description(task.name))
    assert {t.child_frame_id for t in transforms} == {
        prefix + joint.child for joint in tree.joints.values()
    }
    for joint in tree.joints.values():
        root, pose = look_up(transforms, prefix + joint.child)
        expected = tree.link_pose(joint.child, positions)
        assert root == f"{prefix}world"
        np.testing.assert_allclose(pose.position, expected.position, atol=1e-12)
        assert abs(np.dot(pose.orientation, expected.orientation)) == pytest.approx(1.0)
    assert {t.header.stamp.sec + t.header.stamp.nanosec / 1e9 for t in moved[0].transforms} == {2.5}


def test_goal_and_object_are_marked_in_the_robots_world(show):
    _, other, both = show("valve", "left")
    arrays = []
    other.create_subscription(MarkerArray, topics.MARKERS, arrays.append, qos.LATCHED)
    joints = other.create_publisher(JointState, topics.JOINT_STATES, qos.REPORT)
    goals = other.create_publisher(convert.wire.EpisodeGoal, topics.GOAL, qos.LATCHED)
    objects = other.create_publisher(convert.wire.ObjectState, topics.OBJECT_STATE, qos.STREAM)
    both.until(lambda: joints.get_subscription_count() and objects.get_subscription_count())
    goals.publish(convert.goal_msg(goal_of([1.0], velocity=0.5)))
    angle = cdr_codec.AngleEstimate(4.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0)

    def newest():
        """Publish again each time: these subscriptions are best effort."""
        objects.publish(cdr_codec.ObjectStates().pack(angle))
        joints.publish(joints_at(TASK, time.monotonic())[0])
        return {m.ns: m for m in arrays[-1].markers} if arrays else {}

    both.until(lambda: {"goal", "object"} <= set(newest()))
    both.until(lambda: newest()["goal"].pose.position.x == pytest.approx(goal_at(2.0)[0]))
    marks = newest()
    place = marks["goal"].pose.position
    assert (place.x, place.y, place.z) == pytest.approx(goal_at(1.0 + 0.5 * 2.0))
    ends = [(p.x, p.y, p.z) for p in marks["object"].points]
    assert ends[1] == pytest.approx(TASK.fixture.mark_position(0.3))
    assert {m.header.frame_id for m in marks.values()} == {"left/world"}
    assert {m.type for m in marks.values()} == {Marker.SPHERE, Marker.ARROW}


def goal_at(angle):
    return TASK.fixture.mark_position(angle)


def test_the_newest_reward_is_written_beside_the_hand(show):
    _, other, both = show("valve", "left")
    arrays = []
    other.create_subscription(MarkerArray, topics.MARKERS, arrays.append, qos.LATCHED)
    joints = other.create_publisher(JointState, topics.JOINT_STATES, qos.REPORT)
    both.until(lambda: joints.get_subscription_count())
    context = Context()
    rclpy.init(context=context, args=["--ros-args", "-r", "__ns:=/left"])
    node = rclpy.create_node("reward", context=context)
    rewards = node.create_publisher(convert.wire.Reward, topics.REWARD, qos.STREAM)
    try:
        both.until(lambda: rewards.get_subscription_count())

        def words(total, success):
            for value in (99.0, total):  # the first of a burst is not read
                message = convert.wire.Reward(total=value, success=success)
                message.terms = [value]
                rewards.publish(message)
            joints.publish(joints_at(TASK, time.monotonic())[0])
            return [m.text for m in arrays[-1].markers if m.ns == "reward"] if arrays else []

        both.until(lambda: words(-1.254, False) == ["reward -1.25"])
        both.until(lambda: words(4.0, True) == ["reward 4.00, at the goal"])
        [marker] = [m for m in arrays[-1].markers if m.ns == "reward"]
        assert marker.header.frame_id == "left/world" and marker.type == Marker.TEXT_VIEW_FACING
    finally:
        node.destroy_node()
        context.try_shutdown()


def pressing(effort, stamp):
    """A claw in its nominal pose: the bottom joint of one finger has an effort; NaN: no efforts."""
    hand = TASK.hand
    efforts = [effort * (name == "FFJ12") for name in hand.joints]
    message = JointState(name=hand.joints, position=hand.nominal.tolist())
    message.velocity, message.effort = [0.0] * hand.n, efforts
    message.header.stamp = convert.to_stamp(stamp)
    return message


def test_a_fingertip_that_pushes_has_an_arrow_in_its_own_frame_and_loses_it(show):
    scene, other, both = show("valve", "left")
    arrays = []
    other.create_subscription(MarkerArray, topics.MARKERS, arrays.append, qos.LATCHED)
    joints = other.create_publisher(JointState, topics.JOINT_STATES, qos.REPORT)
    both.until(lambda: joints.get_subscription_count())

    def forces(effort):
        joints.publish(pressing(effort, time.monotonic()))
        found = [m for m in arrays[-1].markers if m.ns.startswith("force")] if arrays else []
        return {(m.ns, m.id): m for m in found if m.action == Marker.ADD}

    both.until(lambda: forces(1.5))
    shown = forces(1.5)
    assert shown.keys() == {("force", 0), ("force_size", 0)}  # the weight of the others is less
    assert {m.header.frame_id for m in shown.values()} == {"left/first_tip"}
    arrow, size = shown["force", 0], shown["force_size", 0]
    end = arrow.points[1]
    length = np.linalg.norm([end.x, end.y, end.z])
    assert float(size.text.removesuffix(" N")) == pytest.approx(length / FORCE_LENGTH, abs=0.15)
    hand = TASK.hand
    efforts = np.where(np.array(hand.joints) == "FFJ12", 1.5, 0.0)
    positions = dict(zip(hand.joints, hand.nominal.tolist(), strict=True))
    (expected, *_) = FingertipForces(KinematicTree(station_description("valve")), hand).estimate(
        positions, np.zeros(hand.n), efforts, np.zeros(hand.n)
    )
    turned = rotate(expected.pose.orientation, (end.x, end.y, end.z))
    np.testing.assert_allclose(turned, FORCE_LENGTH * np.array(expected.force), atol=1e-3)
    both.until(lambda: not forces(0.0))
    scene._estimates._period = 0.0
    both.until(lambda: forces(1.5))
    both.until(lambda: not forces(np.nan))


@pytest.mark.parametrize("task", ["pose", "allegro_pose", "soft_pose"])
def test_the_goal_of_a_pose_is_marked_at_every_fingertip(show, task):
    task = make_task(task)
    _, other, both = show(task.name)
    arrays = []
    other.create_subscription(MarkerArray, topics.MARKERS, arrays.append, qos.LATCHED)
    goals = other.create_publisher(convert.wire.EpisodeGoal, topics.GOAL, qos.LATCHED)
    goals.publish(convert.goal_msg(goal_of(task.hand.nominal + 0.1)))
    both.until(lambda: arrays and arrays[-1].markers)
    tree = KinematicTree(station_description(task.name))
    shape = task.hand.shape(task.hand.nominal + 0.1)
    pose = dict(zip(task.hand.moving, shape.tolist(), strict=True))
    expected = [tree.link_pose(tip, pose).position for tip in task.hand.fingertips]
    places = [m.pose.position for m in arrays[-1].markers]
    np.testing.assert_allclose([(p.x, p.y, p.z) for p in places], expected, atol=1e-12)
    assert {m.ns for m in arrays[-1].markers} == {"goal"}


def test_where_robot_state_publisher_is_the_scene_publishes_no_frames(show):
    _, other, both = show("valve", frames=False)
    both.until(lambda: other.count_publishers(topics.MARKERS))
    assert not other.count_publishers("/tf") + other.count_publishers("/tf_static")


def test_frames_come_at_most_33_times_a_second_and_the_newest_comes(show):
    _, other, both = show("valve")
    moved = []
    other.create_subscription(TFMessage, "/tf", moved.append, qos.TRANSFORMS)
    joints = other.create_publisher(JointState, topics.JOINT_STATES, qos.REPORT)
    both.until(lambda: joints.get_subscription_count() and other.count_publishers("/tf"))
    began = time.monotonic()
    for i in range(200):
        joints.publish(joints_at(TASK, i / 100)[0])
        both.until(lambda: True)
        for loop in both.loops:
            loop.once(0.002)
    both.until(lambda: moved and convert.from_stamp(moved[-1].transforms[0].header.stamp) == 1.99)
    assert 2 <= len(moved) <= (time.monotonic() - began) / 0.03 + 1


def test_a_world_at_rest_is_shown_to_a_listener_that_comes_late_and_repeated_to_no_other(show):
    """tf2 warns at data that it has already."""
    _, other, both = show("valve")
    joints = other.create_publisher(JointState, topics.JOINT_STATES, qos.REPORT)
    both.until(lambda: joints.get_subscription_count())
    message, first, late = joints_at(TASK, 2.5)[0], [], []
    other.create_subscription(TFMessage, "/tf", first.append, qos.TRANSFORMS)
    both.until(lambda: other.count_publishers("/tf"))

    def repeated_until(done):
        def sent_and_done():
            joints.publish(message)
            return done()

        both.until(sent_and_done)

    repeated_until(lambda: first)
    end = time.monotonic() + 0.5
    repeated_until(lambda: time.monotonic() > end)
    assert len(first) == 1
    other.create_subscription(TFMessage, "/tf", late.append, qos.TRANSFORMS)
    repeated_until(lambda: late)
    assert late[0] == first[0]


@pytest.mark.parametrize(
    "wrong",
    [
        JointState(name=["valve"], position=[float("nan")]),
        JointState(name=["valve", "valve"], position=[0.0, 0.0]),
        JointState(name=["valve"]),
    ],
)
def test_a_message_that_cannot_be_is_dropped_and_counted(show, wrong):
    scene, other, both = show("valve")
    joints = other.create_publisher(JointState, topics.JOINT_STATES, qos.REPORT)
    # Published again and again: the subscription is best effort.
    both.until(lambda: joints.publish(wrong) or topics.JOINT_STATES in scene.inbox.drops)


def test_a_graph_with_a_scene_shows_a_simulation_in_lockstep():
    """Through real processes; frames of a world that rests come as well."""
    config = GraphConfig(runner=False, learner=False, scene=True)
    running = [subprocess.Popen(command(node)) for node in build_graph(config)]
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node("learner", context=context)
    frames, markers, described = [], [], []
    try:
        with EventLoop(node, context=context) as loop:
            node.create_subscription(TFMessage, "/tf", frames.append, qos.TRANSFORMS)
            node.create_subscription(TFMessage, "/tf_static", frames.append, qos.LATCHED)
            node.create_subscription(MarkerArray, topics.MARKERS, markers.append, qos.LATCHED)
            node.create_subscription(String, topics.DESCRIPTION, described.append, qos.LATCHED)
            station = GraphStation(node, loop, TASK, lockstep=True)
            loop.wait(lambda: described and len(frames) > 1, "the description and frames")
            station.reset(start_request(TASK, 0, np.array([0]), teleport=True))
            frames.clear()
            began = time.monotonic()
            while time.monotonic() - began < 1.0:
                station.step(TASK.hand.nominal[None, :])
            loop.wait(lambda: frames, "frames of the episode")
            assert len(frames) <= 40
            links = {t.child_frame_id for message in frames for t in message.transforms}
            tree = KinematicTree(described[0].data)
            moving = {j.child for j in tree.joints.values() if j.kind != "fixed"}
            assert links == moving
            loop.wait(
                lambda: {"goal", "object"} <= {m.ns for m in markers[-1].markers}, "the markers"
            )
    finally:
        context.try_shutdown()
        for process in running:
            process.send_signal(signal.SIGTERM)
        assert not any([process.wait(15) for process in running])


def test_rvizs_configuration_has_the_topics_of_the_graph():
    """Names and types of displays: docs of rviz_default_plugins, package of ros2/rviz, Jazzy."""
    config = yaml.safe_load((share() / "config" / "rviz" / "station.rviz").read_text())
    manager = config["Visualization Manager"]
    displays = {display["Class"]: display for display in manager["Displays"]}
    model = displays["rviz_default_plugins/RobotModel"]
    assert model["Description Topic"]["Value"] == topics.DESCRIPTION
    assert model["Description Topic"]["Durability Policy"] == "Transient Local"
    markers = displays["rviz_default_plugins/MarkerArray"]
    assert markers["Topic"]["Value"] == topics.MARKERS
    assert markers["Topic"]["Durability Policy"] == "Transient Local"
    assert displays["rviz_default_plugins/TF"]["Enabled"]
    root = ElementTree.fromstring(station_description("valve"))
    links = {link.get("name") for link in root.findall("link")}
    assert manager["Global Options"]["Fixed Frame"] in links
