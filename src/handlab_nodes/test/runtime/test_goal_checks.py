"""Goals that cannot be carried out are refused with the reason; every goal can be cancelled."""

import time
from datetime import datetime

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient

from handlab_core.environment.episode import EpisodePlan
from handlab_core.tasks import make_task
from handlab_interfaces import action
from handlab_interfaces import msg as wire
from handlab_interfaces.srv import Teleport
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.messages import convert, qos, topics
from handlab_nodes.runtime import goal_checks
from handlab_nodes.runtime.actions import RestartSafeActionClient

TASK = make_task("valve")
FULL = ("driver", "estimator", "reward", "reset", "runner", "learner")


class Client:
    """A client of actions that is not of the graph."""

    def __init__(self, node, loop):
        self.node, self.loop, self._clients = node, loop, {}

    def send(self, kind, topic, **fields):
        if topic not in self._clients:
            self._clients[topic] = ActionClient(self.node, kind, topic)
        client = self._clients[topic]
        self.loop.wait(client.server_is_ready, topic)
        deadline = time.monotonic() + 60.0
        while True:  # a node refuses while it ends what a cancelled goal had it do
            handle = self.loop.result(client.send_goal_async(kind.Goal(**fields)), "acceptance")
            if handle.accepted:
                return handle
            assert time.monotonic() < deadline, f"{topic} refuses goals"
            self.loop.rest(0.1)

    def end(self, handle, timeout=60.0):
        answer = self.loop.result(handle.get_result_async(), "the result", timeout)
        return answer.status, answer.result

    def cancel(self, handle):
        """Cancel; status, result and how long that took."""
        began = time.monotonic()
        ending = handle.get_result_async()
        handle.cancel_goal_async()
        answer = self.loop.result(ending, "the end of a cancelled goal", 60.0)
        return answer.status, answer.result, time.monotonic() - began


COUNT = 8
"""Episodes that a stranger disturbs."""

QUICK = 20.0
"""Seconds; a cancelled goal ends within one on a machine that is not busy."""

BAD_GOALS = [
    (action.Reset, topics.RESET, {"object_angle": np.nan}, "object angle of nan rad"),
    (action.Reset, topics.RESET, {"object_angle": -np.inf}, "object angle of -inf rad"),
    (action.Reset, topics.RESET, {"object_angle": 1000.0}, "turns from -6.283 to 6.283"),
    (action.Reset, topics.RESET, {"object_angle": 1e3, "teleport": True}, "object angle of 1000"),
    (action.Rollout, topics.ROLLOUT, {"episodes": []}, "0 episodes; a goal has 1 to 1000"),
    (action.Rollout, topics.ROLLOUT, {"episodes": [1, -2]}, "episode -2"),
    (action.Rollout, topics.ROLLOUT, {"episodes": [3, 4, 3]}, "episode 3 comes twice"),
    (action.Rollout, topics.ROLLOUT, {"episodes": range(5000)}, "5000 episodes"),
    (action.Rollout, topics.ROLLOUT, {"episodes": [0], "policy_version": -1}, "version -1"),
    (action.Evaluate, topics.EVALUATE, {"checkpoint": "/", "episodes": 0}, "0 episodes"),
    (action.Evaluate, topics.EVALUATE, {"checkpoint": "/nope", "episodes": 1}, "no checkpoint"),
    (action.Evaluate, topics.EVALUATE, {"checkpoint": "/", "episodes": 1, "first_episode": -1},
     "first episode -1"),
    (action.Evaluate, topics.EVALUATE, {"checkpoint": "x" * 5000, "episodes": 1}, "no checkpoint"),
    (action.Train, topics.TRAIN, {"run_dir": ""}, "no run folder"),
    (action.Train, topics.TRAIN, {"run_dir": "/nope"}, "no run folder"),
    (action.Train, topics.TRAIN, {"run_dir": "/proc"}, "config.yaml"),
]  # fmt: skip


@pytest.fixture(scope="module")
def client(graph):
    """A client of a whole graph in lockstep."""
    with graph(*FULL) as (_, node, loop):
        made = Client(node, loop)
        learner = ActionClient(node, action.Train, topics.TRAIN)
        loop.wait(learner.server_is_ready, "the learner, which takes longest to start")
        yield made


@pytest.mark.parametrize(("kind", "topic", "fields", "reason"), BAD_GOALS)
def test_a_goal_that_cannot_be_is_aborted_at_once_with_the_reason(
    client, kind, topic, fields, reason
):
    status, result = client.end(client.send(kind, topic, **fields))
    assert status == GoalStatus.STATUS_ABORTED and reason in result.message


@pytest.mark.parametrize("angle", [np.nan, np.inf, 1000.0, -7.0])
def test_a_teleport_to_where_nothing_can_be_is_refused(client, angle):
    teleport = client.node.create_client(Teleport, topics.TELEPORT)
    client.loop.wait(teleport.service_is_ready, "the driver")
    future = teleport.call_async(Teleport.Request(object_angle=angle))
    answer = client.loop.result(future, "an answer")
    assert not answer.success and "cannot be; the valve turns from" in answer.message


def test_goals_of_demonstrations_are_checked():
    check = goal_checks.record(TASK)
    check(action.RecordDemonstration.Goal(episodes=[0, 1]))
    for fields in ({"episodes": []}, {"episodes": [0], "hold": np.nan}, {"episodes": [-1]},
                   {"episodes": [0], "hold": -1.0}, {"episodes": [0], "hold": 1e9}):  # fmt: skip
        with pytest.raises(Exception, match=r"episode|hold"):
            check(action.RecordDemonstration.Goal(**fields))
    with pytest.raises(Exception, match="no bag ''"):
        goal_checks.replay(action.ReplayDemonstration.Goal())
    with pytest.raises(Exception, match="comes twice"):
        goal_checks.replay(action.ReplayDemonstration.Goal(bag="/", episodes=[1, 1]))
    goal_checks.replay(action.ReplayDemonstration.Goal(bag="/"))


def test_a_rollout_that_waits_for_its_policy_can_be_cancelled(client):
    handle = client.send(action.Rollout, topics.ROLLOUT, episodes=[0], policy_version=12345)
    client.loop.rest(0.3)
    status, result, took = client.cancel(handle)
    assert (status, result.message) == (GoalStatus.STATUS_CANCELED, "cancelled")
    assert took < QUICK


def test_every_goal_can_be_cancelled_at_every_moment_and_the_next_one_is_carried_out(
    client, policy, tmp_path
):
    """Moments: as soon as it is accepted, and later and later while it runs."""
    config = RunConfig(task="valve", algorithm="npg", max_hours=1.0)
    folder = RunFolder.create(tmp_path, config, datetime.now())
    policies = client.node.create_publisher(wire.Policy, topics.POLICY, qos.LATCHED)
    goals = [
        (action.Train, topics.TRAIN, {"run_dir": str(folder.path)}),
        (action.Rollout, topics.ROLLOUT, {"episodes": range(100), "policy_version": 7}),
        (action.Reset, topics.RESET, {"object_angle": 1.0}),
    ]
    for kind, topic, fields in goals:
        policies.publish(convert.policy_msg(policy(TASK, version=7), TASK))  # `train` had its own
        for moment in (0.0, 0.05, 0.4):
            handle = client.send(kind, topic, **fields)
            client.loop.rest(moment)
            status, result, took = client.cancel(handle)
            ended_before = kind is action.Reset and status == GoalStatus.STATUS_SUCCEEDED
            assert ended_before or status == GoalStatus.STATUS_CANCELED, (topic, result)
            assert ended_before or "cancelled" in result.message
            assert took < QUICK, f"{topic} took {took:.1f} s to be cancelled"
    status, result = client.end(
        client.send(action.Rollout, topics.ROLLOUT, episodes=[0, 1], policy_version=7)
    )
    assert status == GoalStatus.STATUS_SUCCEEDED and result.completed == 2, result


def test_while_a_rollout_is_under_way_a_strangers_reset_is_refused(client, policy):
    sampler, episodes = GraphSampler(client.node, client.loop, TASK), []
    reset = ActionClient(client.node, action.Reset, topics.RESET)
    client.loop.wait(reset.server_is_ready, "the reset node")
    pending, answers = [], []

    def disturb():
        """Send a stranger's goal, one at a time, and collect what became of it."""
        if pending and pending[0].done():
            handle = pending[0].result()
            if not hasattr(handle, "accepted"):
                answers.append(pending.pop().result().result)
            elif handle.accepted:
                pending[0] = handle.get_result_async()
            else:
                answers.append(pending.pop().result())
        elif not pending and episodes and len(episodes) < COUNT:
            pending.append(reset.send_goal_async(action.Reset.Goal(object_angle=3.0)))

    with client.loop.interrupted_by(disturb):
        episodes.extend(sampler.sample(policy(TASK, version=9), EpisodePlan(7, range(COUNT))))
        client.loop.rest(0.5)
    refused = [a.message for a in answers if hasattr(a, "message")]
    *during, _ = refused  # the last one may come when all episodes are over
    assert during and all("reset is in use by rollout" in message for message in during), refused
    assert len(episodes) == COUNT and all(e.steps == TASK.steps for e in episodes)


def test_a_client_waits_while_another_one_uses_a_server(client, policy):
    policies = client.node.create_publisher(wire.Policy, topics.POLICY, qos.LATCHED)
    policies.publish(convert.policy_msg(policy(TASK, version=11), TASK))
    handle = client.send(action.Rollout, topics.ROLLOUT, episodes=[0], policy_version=4711)
    action_client = RestartSafeActionClient(
        client.node, client.loop, action.Rollout, topics.ROLLOUT
    )
    client.loop.rest(0.2)
    handle.cancel_goal_async()
    answer = action_client.ask(action.Rollout.Goal(episodes=[5], policy_version=11), 60.0)
    assert answer.completed == 1
