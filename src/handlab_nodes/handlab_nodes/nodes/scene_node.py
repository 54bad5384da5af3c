"""Scene: the station for rviz, as frames on /tf and markers of goal, object and forces.

| input           | output                                                              |
|-----------------|---------------------------------------------------------------------|
| `joint_states`  | transforms of the joints in each message, on /tf; an arrow at each  |
|                 | fingertip: the force that it exerts, estimated from the efforts     |
| `object/state`  | an arrow: the angle of the object as the estimator has it           |
| `reward`        | words: the newest reward, and whether the object is at the goal     |
| `episode_goal`  | a ball at the goal of the object, or at the goal of each fingertip  |

It wakes for `joint_states` alone, of which a driver publishes at most 30 a second: in lockstep the
world makes a thousand steps a second, and a node that woke for each of them would slow it down.
"""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field
from rclpy.node import Node
from sensor_msgs.msg import JointState
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from handlab_core.hands.fingertip_force import FingertipForces, dry_friction
from handlab_core.hands.kinematics import KinematicTree
from handlab_core.objects.fixture import BARE
from handlab_core.system.validation import Flag, checked
from handlab_core.types import Goal, ObjectEstimate
from handlab_interfaces import msg as wire
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.messages.scene_messages import (
    FORCE_PERIOD,
    GOAL_COLOR,
    OBJECT_COLOR,
    REWARD_AT,
    REWARD_COLOR,
    WORLD,
    arrow,
    ball,
    force_markers,
    frame_prefix,
    text,
    transform,
)
from handlab_nodes.runtime.diagnostics import OK, Diagnostics
from handlab_nodes.runtime.event_loop import run
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.parameters import TaskParams, read_params
from handlab_nodes.runtime.polled_subscriptions import PolledSubscriptions
from handlab_nodes.runtime.simulated_clock import is_simulated
from handlab_nodes.runtime.throttle import Throttle

PERIOD = 0.03
"""Seconds of wall time, least period of messages; a tenth below that of a driver's `joint_states`,
so that none of those is late for its jitter."""


@checked
class SceneParams(TaskParams):
    """Parameters of the node."""

    robot_description: Annotated[str, Field(description="URDF of the station")] = ""
    frames: Annotated[
        Flag, Field(description="publish /tf and /tf_static; false: robot_state_publisher does")
    ] = True


class SceneNode(Node):
    """Publishes what rviz shows."""

    def __init__(self) -> None:
        super().__init__("scene")
        params = read_params(self, SceneParams())
        self._task = task = params.make_task()
        self._tree = KinematicTree(params.robot_description)
        self._prefix = frame_prefix(self.get_namespace())
        self._stamp = 0.0
        # Stamp [s] and position [rad or m] by joint: to be published, and published.
        self._moved, self._sent = dict[str, tuple[float, float]](), dict[str, tuple[float, float]]()
        self._listeners = 0
        self._goal: Goal | None = None
        self._object: ObjectEstimate | None = None
        self._reward: convert.ShownReward | None = None
        self._forces = FingertipForces(self._tree, task.hand)
        self._force_markers = list[Marker]()
        self._shown = MarkerArray()
        self._count = 0
        self._transforms = None
        if params.frames:
            self._transforms = self.create_publisher(TFMessage, topics.TF, qos.TRANSFORMS)
            self._publish_fixed()
        self._markers = self.create_publisher(MarkerArray, topics.MARKERS, qos.LATCHED)
        self._throttle = Throttle[None](self._publish, PERIOD)
        self._estimates = Throttle[convert.NamedJoints](self._estimate_forces, FORCE_PERIOD)
        hear = Inbox.of(self).subscribe
        read_joints = convert.decoder(JointState, convert.named_joints)
        hear(JointState, topics.JOINT_STATES, read_joints, self._on_joints, qos.SENSOR)
        read_goal = convert.goal_decoder(task)
        hear(wire.EpisodeGoal, topics.GOAL, read_goal, self._on_goal, qos.LATCHED)
        self._polled = PolledSubscriptions(self)
        read_object = cdr_codec.ObjectStates().unpack
        state = wire.ObjectState, topics.OBJECT_STATE
        self._polled.listen(*state, read_object, self._on_object, qos.SENSOR)
        self._rewards = PolledSubscriptions(self, "rewards")
        rewards = convert.decoder(wire.Reward, convert.shown_reward)
        self._rewards.listen(wire.Reward, topics.REWARD, rewards, self._on_reward, qos.SENSOR)
        self._diagnostics = Diagnostics(self)

    def _publish_fixed(self) -> None:
        publisher = self.create_publisher(TFMessage, topics.TF_STATIC, qos.LATCHED)
        now = self.get_clock().now().to_msg()
        fixed = [transform(joint, 0.0, now, self._prefix) for joint in self._tree.fixed]
        publisher.publish(TFMessage(transforms=fixed))

    def _on_joints(self, read: convert.NamedJoints) -> None:
        stamp, positions = read.stamp, self._described(read.positions)
        self._stamp = max(self._stamp, stamp)
        self._moved |= {name: (stamp, at) for name, at in positions.items()}
        if positions.keys() >= set(self._task.hand.joints):
            self._estimates.offer(read)
        self._throttle.offer(None)

    def _estimate_forces(self, read: convert.NamedJoints) -> None:
        """Make the markers of fingertips whose joints have an effort.

        A real hand has more friction than its description; see `dry_friction`.
        """
        hand = self._task.hand
        speeds = np.array([read.speeds.get(name, 0.0) for name in hand.joints])
        efforts = np.array([read.efforts.get(name, np.nan) for name in hand.joints])
        friction = dry_friction(hand, is_simulated(self))
        forces = self._forces.estimate(read.positions, speeds, efforts, friction)
        self._force_markers = [
            marker
            for force in forces
            for marker in force_markers(force, self._prefix + hand.fingertips[force.number])
        ]

    def _described(self, positions: dict[str, float]) -> dict[str, float]:
        """Return the positions of the description's joints, rad or m; see `Hand.shape`."""
        hand, fixture = self._task.hand, self._task.fixture
        found = dict(positions)
        if fixture.joint in found:
            found[fixture.joint] *= fixture.per_rad
        if hand.pneumatics is not None and positions.keys() >= set(hand.joints):
            pressures = np.array([found.pop(name) for name in hand.joints])
            found |= dict(zip(hand.moving, hand.shape(pressures).tolist(), strict=True))
        return found

    def _on_goal(self, goal: Goal) -> None:
        self._goal = goal
        self._throttle.offer(None)

    def _on_object(self, estimate: ObjectEstimate) -> None:
        self._object = estimate

    def _on_reward(self, reward: convert.ShownReward) -> None:
        self._reward = reward

    def _publish(self, _: None) -> None:
        self._publish_moved()
        self._polled.take()
        self._rewards.skim()  # of a thousand steps a second, the newest is read
        self._rewards.take()
        shown = MarkerArray(
            markers=[
                *self._goal_markers(), *self._object_markers(), *self._force_markers,
                *self._reward_markers(),
            ]
        )  # fmt: skip
        if shown != self._shown:
            self._shown = shown
            self._markers.publish(shown)
        self._count += 1

    def _publish_moved(self) -> None:
        """Publish the transforms of joints that have a new stamp.

        A world at rest repeats its last pose for nodes that came late. tf2 warns at a transform
        that it has already, so the same transforms go out again for new listeners only.
        """
        moved, self._moved = self._moved, {}
        if self._transforms is None or not moved:
            return
        listeners, known = self._transforms.get_subscription_count(), self._listeners
        self._listeners = listeners
        if moved.items() <= self._sent.items() and listeners <= known:
            return
        self._sent |= moved
        joints = self._tree.joints
        transforms = [
            transform(joints[name], position, convert.to_stamp(stamp), self._prefix)
            for name, (stamp, position) in moved.items()
            if name in joints
        ]
        self._transforms.publish(TFMessage(transforms=transforms))

    def _goal_markers(self) -> Iterator[Marker]:
        """Make a ball where the object, or each fingertip, reaches the goal."""
        if self._goal is None:
            return
        stamp = self._stamp if self._object is None else float(self._object.stamp[0])
        angles = self._goal.at(np.array([stamp]))[0].tolist()
        task = self._task
        if task.aim.of_object:
            places = [task.fixture.mark_position(angles[0])]
        else:
            pose = self._described(dict(zip(task.hand.joints, angles, strict=True)))
            places = [self._tree.link_pose(tip, pose).position for tip in task.hand.fingertips]
        for number, place in enumerate(places):
            yield self._in_world(ball("goal", number, place, GOAL_COLOR))

    def _object_markers(self) -> Iterator[Marker]:
        """Make an arrow from the axis to the mark of the object."""
        if self._object is None or self._task.fixture_name == BARE:
            return
        fixture = self._task.fixture
        ends = fixture.mark_centre, fixture.mark_position(float(self._object.angle[0]))
        yield self._in_world(arrow("object", 0, ends, OBJECT_COLOR))

    def _reward_markers(self) -> Iterator[Marker]:
        """Write the newest reward beside the hand."""
        if self._reward is not None:
            place = ", at the goal" if self._reward.success else ""
            words = f"reward {self._reward.total:.2f}{place}"
            yield self._in_world(text("reward", 0, REWARD_AT, words, REWARD_COLOR))

    def _in_world(self, marker: Marker) -> Marker:
        marker.header.frame_id = self._prefix + WORLD
        return marker

    def work(self, loop: object) -> None:
        """Publish the held-back values."""
        self._estimates.flush()
        self._throttle.flush()

    def report(self) -> None:
        """Report the numbers of updates and markers."""
        figures = {"updates": self._count, "markers": len(self._shown.markers)}
        self._diagnostics.publish(OK, "showing the station", figures)


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(SceneNode, args=args)


if __name__ == "__main__":
    main()
