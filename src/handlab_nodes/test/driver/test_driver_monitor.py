"""The emergency stop suspends the goals that move the hand; after it they go on."""

import numpy as np
import pytest
from rclpy.action import ActionClient
from std_srvs.srv import SetBool

from handlab_core.environment.episode import EpisodePlan
from handlab_core.system.paths import share
from handlab_core.tasks import make_task
from handlab_interfaces.action import ReplayDemonstration
from handlab_interfaces.msg import EpisodeGoal
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.messages import qos, topics

TASK = make_task("valve")
RING = ("driver", "estimator", "reward", "reset")


class Stop:
    """The emergency stop of the driver, and how many episodes have begun."""

    def __init__(self, node, loop):
        self._loop, self.begun = loop, []
        service = topics.of_driver("driver", topics.EMERGENCY_STOP)
        self._client = node.create_client(SetBool, service)
        loop.wait(self._client.service_is_ready, service)
        node.create_subscription(EpisodeGoal, topics.GOAL, self.begun.append, qos.LATCHED)

    def switch(self, stopped):
        answer = self._loop.result(
            self._client.call_async(SetBool.Request(data=stopped)), "the stop"
        )
        assert answer.success, answer.message

    def stop_and_go_on(self, times=1):
        for _ in range(times):  # a person in haste presses more than once
            self.switch(True)
        self._loop.rest(0.5)
        self.switch(False)


@pytest.mark.parametrize("pace", ["lockstep", "real"])
def test_an_episode_that_is_stopped_is_repeated_and_counted(graph, policy, pace):
    nodes = (*RING, "runner")
    with graph(*nodes, **{name: {"pace": pace} for name in nodes}) as (_, node, loop):
        stop, sampler = Stop(node, loop), GraphSampler(node, loop, TASK)
        stop.switch(True)  # also before anything was asked for
        episodes = sampler.sample(policy(TASK), EpisodePlan(7, [0, 1]))
        loop.rest(0.5)
        assert not stop.begun
        stop.switch(False)
        loop.wait(lambda: stop.begun, "the first episode")
        stop.stop_and_go_on(times=3)
        first, second = episodes
    assert first.time.breaks == 1 and second.time.breaks == 0
    for episode in (first, second):
        assert episode.steps == TASK.steps
        assert np.isfinite(episode.trajectory.observations).all()


def test_a_replay_that_is_stopped_begins_again(graph):
    nodes = (*RING, "replay")
    goal = ReplayDemonstration.Goal(
        bag=str(share() / "demos" / "valve"), episodes=[0], reset=True
    )  # fmt: skip
    with graph(*nodes, **{name: {"pace": "real"} for name in nodes}) as (_, node, loop):
        stop, client = (
            Stop(node, loop),
            ActionClient(node, ReplayDemonstration, "replay_demonstration"),
        )
        loop.wait(client.server_is_ready, "the replay")
        steps = []
        handle = loop.result(
            client.send_goal_async(goal, feedback_callback=lambda m: steps.append(m.feedback.step)),
            "acceptance",
        )
        loop.wait(lambda: len(steps) > 5, "the first steps")
        stop.stop_and_go_on()
        result = loop.result(handle.get_result_async(), "the replay", 60.0).result
    assert result.success and result.replayed == 1, result.message
    assert steps.count(1) == 2 and len(stop.begun) == 2
