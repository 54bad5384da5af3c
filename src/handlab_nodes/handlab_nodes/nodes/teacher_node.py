"""Scripted teacher: leads the passive fingers of a simulated hand, as a person leads a real one's.

It leads on request, from the beginning of the newest goal's episode.
"""

from typing import Annotated

import numpy as np
from pydantic import Field
from rclpy.node import Node
from sensor_msgs.msg import JointState as JointStateMsg
from std_srvs.srv import SetBool

from handlab_core.demonstrations.scripted_teacher import (
    GRIP,
    Teacher,
    TeacherConfig,
    lesson,
    teacher_rng,
)
from handlab_core.environment.stamp_sync import StampSync
from handlab_core.system.validation import Seed, checked
from handlab_core.types import SAME_TIME, Command, Goal, JointState, ObjectEstimate, Sample
from handlab_interfaces import msg as wire
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.runtime.diagnostics import OK, Diagnostics
from handlab_nodes.runtime.event_loop import run
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.parameters import TaskParams, read_params


@checked
class TeacherParams(TeacherConfig, TaskParams):
    """Parameters of the node."""

    seed: Annotated[Seed, Field(description="seed of the trembling and the failures")] = 0


class TeacherNode(Node):
    """Publishes the pose of its grip once in a control period, for the state of hand and object."""

    def __init__(self) -> None:
        super().__init__("teacher")
        params = self._params = read_params(self, TeacherParams())
        task = self._task = params.make_task()
        self._lesson = lesson(task)
        self._config = TeacherConfig(params.speed, params.noise, params.failures)
        self._sync: StampSync[JointState, ObjectEstimate] = StampSync()
        self._sample: Sample | None = None
        self._goal: Goal | None = None
        self._teacher: Teacher | None = None
        self._leading, self._due, self._taught = False, 0.0, 0
        hands, objects = cdr_codec.JointStates(task.hand.joints), cdr_codec.ObjectStates()
        self._guides = cdr_codec.Commands(task.hand.joints)
        self._stiffness = np.full((1, task.hand.n), GRIP)
        self._guide = self.create_publisher(JointStateMsg, topics.GUIDE, qos.COMMAND)
        hear = Inbox.of(self).subscribe
        hear(JointStateMsg, topics.HAND_STATES, hands.unpack, self._on_hand, qos.STREAM)
        hear(wire.ObjectState, topics.OBJECT_STATE, objects.unpack, self._on_object, qos.STREAM)
        read_goal = convert.goal_decoder(task)
        hear(wire.EpisodeGoal, topics.GOAL, read_goal, self._on_goal, qos.LATCHED)
        self.create_service(SetBool, topics.LEAD, self._on_lead)
        self._diagnostics = Diagnostics(self)

    def _on_hand(self, state: JointState) -> None:
        self._sync.add_a(state)

    def _on_object(self, estimate: ObjectEstimate) -> None:
        self._sync.add_b(estimate)

    def _on_goal(self, goal: Goal) -> None:
        self._goal, self._teacher = goal, None
        self._due = float(goal.stamp[0])

    def _on_lead(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._leading, self._teacher = request.data, None
        if not request.data:
            self._goal = None  # the next one's comes before it is led, or after
            self._taught += 1
        response.success = True
        return response

    def work(self, loop: object) -> None:
        """Lead on, if there is a new state of an episode."""
        for pair in self._sync.pairs():
            self._sample = Sample(*pair)
        sample, goal = self._sample, self._goal
        if not self._leading or sample is None or goal is None:
            return
        hand, obj = sample.hand, sample.object
        stamp = float(hand.stamp[0])
        if stamp < self._due - SAME_TIME:
            return
        if self._teacher is None:
            rng = teacher_rng(self._params.seed, int(goal.episode[0]))
            self._teacher = self._lesson(self._config, [rng], hand.q)
        period = self._task.period
        rest = self._teacher.tick(hand, obj, goal, period)
        self._guide.publish(self._guides.pack(Command(rest, self._stiffness), stamp))
        self._due = stamp + period

    def report(self) -> None:
        """Report the number of taught demonstrations."""
        self._diagnostics.publish(OK, "teaching", {"demonstrations": self._taught})


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(TeacherNode, args=args)


if __name__ == "__main__":
    main()
