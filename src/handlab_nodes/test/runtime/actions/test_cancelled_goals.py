"""A cancelled goal ends as CANCELED, whatever stage it is at, and the hand comes to rest.

Evaluate, record and replay through one graph of all nodes, in real pace.
"""

import time

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from sensor_msgs.msg import JointState

from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.system.paths import share
from handlab_core.tasks import make_task
from handlab_interfaces import action
from handlab_learning.runs import checkpoint
from handlab_nodes.messages import qos, topics
from handlab_nodes.nodes.recorder_node import DISCOVERY

TASK = make_task("valve")

QUICK = 10.0 + DISCOVERY
"""Seconds; a cancelled goal ends within one on a machine that is not busy, and lasts minutes if it
is not cancelled. On a busy machine a recorder that starts may first wait for publishers."""

REST, STILL = 60.0, 0.3
"""Seconds until the hand must be at rest, and for which it is then still."""

SLOW = 0.2
"""rad/s; a limp hand sinks more slowly in the end, and a hand that is driven moves faster."""

MOMENTS = (0.0, 0.3, 1.5)
"""Seconds after a goal's first feedback, or its acceptance, at which it is cancelled."""

NODES = (
    "driver", "estimator", "reward", "reset", "runner", "learner", "demonstrator", "teacher",
    "recorder", "replay",
)  # fmt: skip


START = 200.0
"""Seconds; longest start of a node, of which the learner imports most, on a busy machine too."""


class Client:
    """A client of all actions that watches the hand."""

    def __init__(self, node, loop):
        self.node, self.loop = node, loop
        self.states, self.driving = [], []
        node.create_subscription(JointState, topics.HAND_STATES, self.states.append, qos.STREAM)
        for topic in (topics.HAND_COMMANDS, topics.GUIDE):
            node.create_subscription(JointState, topic, self.driving.append, qos.COMMAND)

    def cancelled(self, kind, topic, goal, moment):
        """Send a goal and cancel it; return its status, its result and how long that took."""
        client, feedback = ActionClient(self.node, kind, topic), []
        self.loop.wait(client.server_is_ready, topic, START)
        sending = client.send_goal_async(goal, feedback_callback=feedback.append)
        handle = self.loop.result(sending, "acceptance")
        assert handle.accepted
        if moment and kind is not action.Evaluate:  # which tells of whole episodes only
            self.loop.wait(lambda: feedback, f"the first feedback of {topic}", 60.0)
        self.loop.rest(moment)
        ending, began = handle.get_result_async(), time.monotonic()
        handle.cancel_goal_async()
        answer = self.loop.result(ending, "the end of a cancelled goal", 60.0)
        took = time.monotonic() - began
        client.destroy()
        return answer.status, answer.result, took

    def comes_to_rest(self):
        """Wait until nothing has driven the hand, and no joint has moved, for a while."""
        still_since = [time.monotonic()]

        def still():
            fast = any(np.abs(state.velocity).max() > SLOW for state in self.states)
            fresh = bool(self.states)
            fast = fast or bool(self.driving)
            self.states.clear(), self.driving.clear()
            if fast or not (fresh or time.monotonic() - still_since[0] < STILL):
                still_since[0] = time.monotonic()
            return time.monotonic() - still_since[0] >= STILL

        self.states.clear()
        self.loop.wait(still, "the hand to come to rest", REST)


@pytest.fixture(scope="module")
def random_policy(tmp_path_factory):
    """A checkpoint of a policy that moves the hand, in no direction in particular."""
    rng = np.random.default_rng(0)
    o, n = TASK.observation_size, TASK.hand.n
    policy = GaussianPolicy(
        (rng.normal(size=(o, n)),), (np.zeros(n),), np.full(n, -0.5), np.zeros(o), np.ones(o), 1
    )
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    folder.mkdir()
    return checkpoint.save(folder, 1, TASK, policy, {}, {}).tensors_path


@pytest.fixture(scope="module")
def client(graph, tmp_path_factory):
    bag = tmp_path_factory.mktemp("recordings") / "bag"
    paced = {name: {"pace": "real"} for name in NODES}
    for name in ("learner", "teacher", "recorder"):
        paced[name] = {}
    paced["demonstrator"] |= {"guided": True, "record": True, "teacher": "script"}
    paced["recorder"] = {"bag": bag}
    with graph(*NODES, **paced) as (_, node, loop):
        yield Client(node, loop)


@pytest.mark.parametrize("name", ["evaluate", "record", "replay"])
def test_a_cancelled_goal_ends_as_canceled_with_the_hand_at_rest(client, random_policy, name):
    demonstrations = str(share() / "demos" / "valve")
    kind, topic, goal = {
        "evaluate": (
            action.Evaluate,
            topics.EVALUATE,
            action.Evaluate.Goal(checkpoint=str(random_policy), episodes=20),
        ),
        "record": (
            action.RecordDemonstration,
            topics.RECORD_DEMONSTRATION,
            action.RecordDemonstration.Goal(episodes=list(range(20)), at_once=True),
        ),
        "replay": (
            action.ReplayDemonstration,
            topics.REPLAY_DEMONSTRATION,
            action.ReplayDemonstration.Goal(bag=demonstrations, episodes=[0, 1], reset=True),
        ),
    }[name]
    for moment in MOMENTS:
        status, result, took = client.cancelled(kind, topic, goal, moment)
        assert status == GoalStatus.STATUS_CANCELED, (name, moment, result)
        assert "cancelled" in result.message and not result.success
        assert took < QUICK, f"{name} took {took:.1f} s to be cancelled"
        client.comes_to_rest()
