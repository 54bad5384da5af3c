"""Reward computer: hand, object and goal in, the reward of every state of the object out.

The object's state arrives last, so the node wakes for it.
"""

from rclpy.node import Node
from sensor_msgs.msg import JointState as JointStateMsg

from handlab_core.errors import StationTimeout
from handlab_core.options import PaceOptions
from handlab_core.rewards.reward_stream import RewardStream
from handlab_core.system.validation import checked
from handlab_interfaces import msg as wire
from handlab_nodes.messages import cdr_codec, convert, qos, topics
from handlab_nodes.runtime.diagnostics import OK, Diagnostics
from handlab_nodes.runtime.event_loop import EventLoop, run
from handlab_nodes.runtime.inbox import Inbox
from handlab_nodes.runtime.parameters import TaskParams, read_params
from handlab_nodes.runtime.polled_subscriptions import PolledSubscriptions
from handlab_nodes.runtime.stream import Stream


@checked
class RewardParams(TaskParams, PaceOptions):
    """Parameters of the node."""


class RewardNode(Node):
    """Computes whenever hand and object of the same stamp are there; see `RewardStream`."""

    def __init__(self) -> None:
        super().__init__("reward")
        params = read_params(self, RewardParams())
        task = params.make_task()
        hands, objects = cdr_codec.JointStates(task.hand.joints), cdr_codec.ObjectStates()
        computer = task.reward_computer()
        self._rewards = RewardStream(computer)
        self._count = 0
        self._codec = cdr_codec.Rewards(len(computer.terms))
        self._publisher = Stream(self, wire.Reward, topics.REWARD, params.pace == "lockstep")
        self._polled = PolledSubscriptions(self)
        add_hand, add_object = self._rewards.add_hand, self._rewards.add_object
        hands_topic = JointStateMsg, topics.HAND_STATES
        self._polled.listen(*hands_topic, hands.unpack, add_hand, qos.EVERY)
        hear = Inbox.of(self).subscribe
        hear(wire.ObjectState, topics.OBJECT_STATE, objects.unpack, add_object, qos.EVERY)
        read_goal = convert.goal_decoder(task)
        hear(wire.EpisodeGoal, topics.GOAL, read_goal, self._rewards.add_goal, qos.LATCHED)
        self._diagnostics = Diagnostics(self)

    def work(self, loop: EventLoop) -> None:
        """Compute and publish the rewards whose hand and object have arrived."""
        if self._rewards.waiting:
            what = f"the hand's state on {topics.HAND_STATES}"
            try:
                self._polled.wait(loop, lambda: not self._rewards.waiting, what)
            except StationTimeout as error:  # the driver may be inactive for long
                self.get_logger().warning(str(error))
        for goal, obj, reward in self._rewards.due():
            self._publisher.publish(self._codec.pack(reward, int(goal.episode[0]), obj.stamp))
            self._count += 1

    def report(self) -> None:
        """Report the number of published rewards."""
        self._diagnostics.publish(OK, "computing rewards", {"rewards": self._count})


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run(RewardNode, args=args)


if __name__ == "__main__":
    main()
