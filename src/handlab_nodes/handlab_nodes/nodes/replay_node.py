"""Replay: an action server that has a hand repeat the demonstrations of a bag, or only shows them.

| parameter `look` | published data                                                        |
|------------------|-----------------------------------------------------------------------|
| false            | the inferred actions, to the driver: the safety chain is as for a policy |
| true             | hand, object and goal as they were recorded, in real time; no driver  |
"""

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from sensor_msgs.msg import JointState as JointStateMsg
from std_msgs.msg import String

from handlab_core.demonstrations.recording import Motion, to_episode
from handlab_core.demonstrations.start_check import check_start
from handlab_core.environment.station import ResetRequest
from handlab_core.errors import HandStopped
from handlab_core.estimation.angle import AngleEstimate
from handlab_core.options import PaceOptions
from handlab_core.system import batch
from handlab_core.system.validation import Flag, checked
from handlab_core.tasks import Task
from handlab_core.types import JointState
from handlab_data.demonstration_reader import Recording, check_session, read_recording
from handlab_interfaces import msg as wire
from handlab_interfaces.action import ReplayDemonstration
from handlab_nodes.clients.graph_station import GraphStation
from handlab_nodes.driver.driver_monitor import DriverMonitor
from handlab_nodes.driver.publishers import DisplayPublishers
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.runtime import goal_checks
from handlab_nodes.runtime.actions import GoalServer, announce
from handlab_nodes.runtime.diagnostics import OK, Diagnostics
from handlab_nodes.runtime.event_loop import POLL, EventLoop, run
from handlab_nodes.runtime.parameters import TaskParams, read_params

NEAR = 0.05
"""Seconds; messages whose stamps differ by no more are published together."""


@checked
class ReplayParams(TaskParams, PaceOptions):
    """Parameters of the node."""

    look: Annotated[Flag, Field(description="show demonstrations without a hand")] = False
    robot_description: Annotated[
        str,
        Field(description="URDF of the station; published with `look`"),
    ] = ""
    calibration: Annotated[
        str, Field(description="calibration of the station, as YAML; empty: accept any bag's")
    ] = ""


class ReplayNode(Node):
    """Carries out one goal at a time."""

    def __init__(self) -> None:
        super().__init__("replay")
        self._params = read_params(self, ReplayParams())
        self._task = self._params.make_task()
        self._station: GraphStation | None = None
        self._screen: Screen | None = None
        if self._params.look:
            self._screen = Screen(self, self._task, self._params.robot_description)
        self._replayed = 0
        self._watch = None if self._params.look else DriverMonitor(self)
        self._goal_server = GoalServer(
            self,
            ReplayDemonstration,
            topics.REPLAY_DEMONSTRATION,
            lambda: self._goal_server.goal is None,
            goal_checks.replay,
            watch=self._watch,
        )
        announce(self, topics.REPLAY_DEMONSTRATION)
        self._diagnostics = Diagnostics(self)

    def work(self, loop: EventLoop) -> None:
        """Carry out the goal, if there is one."""
        handle = self._goal_server.goal
        if handle is None:
            return
        result = ReplayDemonstration.Result()

        def job(handle: ServerGoalHandle) -> None:
            recording = self._open(Path(handle.request.bag))
            for number in recording.choose(handle.request.episodes):
                error = self._replay(handle, recording, int(number), loop)
                result.object_errors.append(error)
                result.replayed += 1

        self._goal_server.carry_out(loop, result, job)
        self._replayed += result.replayed

    def _open(self, path: Path) -> Recording:
        recording = read_recording(path)
        check_session(recording, self._task, self._params.calibration or None)
        return recording

    def _replay(
        self, handle: ServerGoalHandle, recording: Recording, number: int, loop: EventLoop
    ) -> float:
        """Replay one demonstration; return the object's distance from its recorded end, rad."""
        motion = recording.motions[number]
        if self._screen is not None:
            self._screen.show(motion, recording, number, loop)
            return 0.0
        if self._station is None:
            lockstep = self._params.pace == "lockstep"
            self._station = GraphStation(self, loop, self._task, lockstep, watch=self._watch)
        while True:
            try:
                return self._repeat(handle, self._station, motion)
            except HandStopped:
                self._station.await_engaged()

    def _repeat(self, handle: ServerGoalHandle, station: GraphStation, motion: Motion) -> float:
        episode, task = to_episode(motion, self._task), self._task
        angle = np.array([task.start(motion.seed, motion.episode).object_angle])
        goal = motion.goal
        request = ResetRequest(goal.episode, angle, goal.angle, goal.velocity)
        start = station.reset(request) if handle.request.reset else station.begin(request)
        check_start(task, motion, start.hand, start.object)
        obj = start.object
        for t, action in enumerate(episode.trajectory.actions):
            sample = station.step(task.hand.target(action[None, :]))
            obj = sample.object
            feedback = ReplayDemonstration.Feedback(episode=motion.episode, step=t + 1)
            error = task.aim.error(sample.hand, sample.object, start.goal)[0]
            feedback.object_error = float(error - episode.trajectory.errors[t])
            seen = task.hand.normalise(sample.hand.q[0])
            off = (seen - episode.trajectory.observations[t + 1, : task.hand.n]) / 2
            feedback.hand_error = float(np.abs(off * (task.hand.upper - task.hand.lower)).max())
            handle.publish_feedback(feedback)
        return float(abs(obj.angle[0] - motion.object.angle[-1]))

    def report(self) -> None:
        """Report the number of replayed demonstrations."""
        if self._screen is not None:
            self._screen.display.repeat()
        self._diagnostics.publish(OK, "ready to replay", {"demonstrations": self._replayed})


class Screen:
    """Publishes recorded motions in place of driver and estimator, in the recorded time.

    Args:
        node: owner of the publishers.
        task: task of the motions.
        robot_description: URDF of the station.
    """

    def __init__(self, node: Node, task: Task, robot_description: str) -> None:
        self._task = task
        self._hands = cdr_codec.JointStates(task.hand.joints)
        self._fixtures = cdr_codec.JointStates([task.fixture.joint])
        self._objects = cdr_codec.ObjectStates()
        publish = node.create_publisher
        self._hand = publish(JointStateMsg, topics.HAND_STATES, qos.STREAM)
        self._fixture = publish(JointStateMsg, topics.FIXTURE_STATES, qos.STREAM)
        self._object = publish(wire.ObjectState, topics.OBJECT_STATE, qos.STREAM)
        self._goal = publish(wire.EpisodeGoal, topics.GOAL, qos.LATCHED)
        self.display = DisplayPublishers(node)
        self._description = publish(String, topics.DESCRIPTION, qos.LATCHED)
        if robot_description:
            self._description.publish(String(data=robot_description))

    def show(self, motion: Motion, recording: Recording, number: int, loop: EventLoop) -> None:
        """Show one demonstration in real time."""
        self._goal.publish(convert.goal_msg(motion.goal))
        began = time.monotonic()
        hand, fixture, obj = motion.hand, recording.fixtures[number], motion.object
        for i, stamp in enumerate(hand.stamp):
            due = began + float(stamp - hand.stamp[0])
            while (left := due - time.monotonic()) > 0:
                loop.once(min(left, POLL))
            self.display.offer_time(float(stamp))
            near = self._fixture_near(fixture, float(stamp))
            now = batch.take(hand, [i])
            self._hand.publish(self._hands.pack(now))
            self._show_joints(now, near)
            k = int(np.abs(obj.stamp - stamp).argmin())
            estimate = AngleEstimate(
                float(stamp), float(obj.angle[k]), float(obj.velocity[k]), 0.0, 0.0, 0.0, 0
            )
            self._object.publish(self._objects.pack(estimate))
        self.display.repeat(resting=0.0)

    def _fixture_near(self, fixture: JointState, stamp: float) -> JointState | None:
        """Publish and return the state of the fixture that is nearest to a time [s]."""
        stamps = fixture.stamp
        k = int(np.abs(stamps - stamp).argmin()) if len(stamps) else -1
        if k < 0 or abs(stamps[k] - stamp) > NEAR:
            return None
        state = batch.take(fixture, [k])
        self._fixture.publish(self._fixtures.pack(state))
        return state

    def _show_joints(self, hand: JointState, fixture: JointState | None) -> None:
        """Publish all joints in one message; soft lobes, which no bag has, are straight."""
        task = self._task
        parts = [(task.hand.joints, hand)]
        parts += [] if fixture is None else [((task.fixture.joint,), fixture)]
        straight = dict.fromkeys(task.fixture.passive, 0.0)
        stamp = float(hand.stamp[0])
        self.display.offer_joints(partial(convert.joints_msg, stamp, parts, straight))


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(ReplayNode, args=args)


if __name__ == "__main__":
    main()
