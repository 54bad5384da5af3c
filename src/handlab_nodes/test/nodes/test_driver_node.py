"""Every transition of the driver at every moment: a goal ends with the reason, the graph stays."""

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.action import ActionClient

from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.tasks import make_task
from handlab_interfaces import action
from handlab_interfaces.msg import Policy
from handlab_nodes.messages import convert, qos, topics

PATHS = {
    State.PRIMARY_STATE_ACTIVE: ["deactivate"],
    State.PRIMARY_STATE_INACTIVE: ["activate", "cleanup"],
    State.PRIMARY_STATE_UNCONFIGURED: ["configure"],
}
"""Transitions by the state that they lead away from."""


class Lifecycle:
    """A client of the driver's lifecycle and of actions."""

    def __init__(self, node, loop):
        self.node, self.loop = node, loop
        self._change = node.create_client(ChangeState, "driver/change_state")
        self._get = node.create_client(GetState, "driver/get_state")
        loop.wait(self._change.service_is_ready, "the driver's lifecycle")

    def go(self, label="", number=0):
        request = ChangeState.Request(transition=Transition(id=number, label=label))
        return self.loop.result(self._change.call_async(request), f"{label}{number}").success

    def state(self):
        request = self._get.call_async(GetState.Request())
        return self.loop.result(request, "the state").current_state.id

    def activate(self):
        """Bring the driver back to where it drives, from wherever it is."""
        while (state := self.state()) != State.PRIMARY_STATE_ACTIVE:
            self.go(PATHS[state][0])  # a driver that starts by itself may be faster

    def send(self, kind, topic, **fields):
        client = ActionClient(self.node, kind, topic)
        self.loop.wait(client.server_is_ready, topic)
        handle = self.loop.result(client.send_goal_async(kind.Goal(**fields)), "acceptance")
        return handle.get_result_async()

    def result(self, ending, timeout=40.0):
        answer = self.loop.result(ending, "the result of a goal", timeout)
        return answer.status, answer.result


RING = ("driver", "estimator", "reward", "reset")
TASK = make_task("valve")


def policy():
    """A policy that holds the nominal pose; its version is 1."""
    o, n = TASK.observation_size, TASK.hand.n
    weights, biases = (np.zeros((o, n)),), (np.zeros(n),)
    return GaussianPolicy(weights, biases, np.full(n, -0.5), np.zeros(o), np.ones(o), 1)


def test_a_transition_that_is_not_available_is_refused_and_the_driver_goes_on(graph):
    with graph("driver") as (_, node, loop):
        client = Lifecycle(node, loop)
        client.activate()
        for number in (0, 9, 10, 60, 77, 255, Transition.TRANSITION_CONFIGURE):
            assert not client.go(number=number)
        for label in ("x", "configure", "transition_success", "deactivate\n"):
            assert not client.go(label)
        assert client.state() == State.PRIMARY_STATE_ACTIVE
        assert client.go("deactivate") and not client.go("deactivate")
        assert client.go(number=Transition.TRANSITION_CLEANUP)


def test_after_a_shutdown_the_graph_stays_and_goals_say_why_they_end(graph):
    with graph(*RING) as (_, node, loop):
        client = Lifecycle(node, loop)
        client.activate()
        resetting = client.send(action.Reset, topics.RESET, object_angle=3.0)
        assert client.go("shutdown")
        _, result = client.result(resetting)
        loop.rest(2.5)  # longer than a driver that starts by itself waits
        assert client.state() == State.PRIMARY_STATE_FINALIZED
        _, later = client.result(client.send(action.Reset, topics.RESET, object_angle=0.0))
        assert not later.success and "finalized: start it again" in later.message
        reasons = "finalized", "shuttingdown", "not active"
        assert result.success or any(reason in result.message for reason in reasons)


@pytest.mark.parametrize("pace", ["lockstep", "real"])
def test_random_transitions_while_goals_run_end_them_with_the_reason_and_the_next_goal_works(
    graph, pace
):
    rng = np.random.default_rng(1)
    nodes = (*RING, "runner")
    with graph(*nodes, **{name: {"pace": pace} for name in nodes}) as (_, node, loop):
        client, rounds = Lifecycle(node, loop), 8 if pace == "lockstep" else 4
        policies = node.create_publisher(Policy, topics.POLICY, qos.LATCHED)
        policies.publish(convert.policy_msg(policy(), TASK))
        goals = [
            (action.Reset, topics.RESET, {"object_angle": 2.0}),
            (action.Rollout, topics.ROLLOUT, {"episodes": range(500), "policy_version": 1}),
        ]
        for number in range(rounds):
            client.activate()
            kind, topic, fields = goals[number % 2]
            running = client.send(kind, topic, **fields)
            loop.rest(rng.uniform(0.0, 0.8))
            for _ in range(rng.integers(1, 5)):
                assert client.go(str(rng.choice(PATHS[client.state()])))
                loop.rest(rng.uniform(0.0, 0.3))
            status, result = client.result(running)
            if status != GoalStatus.STATUS_SUCCEEDED:
                assert status == GoalStatus.STATUS_ABORTED, (status, result)
                assert "activ" in result.message or "configured" in result.message, result
        client.activate()
        status, result = client.result(client.send(action.Reset, topics.RESET, object_angle=0.0))
        assert status == GoalStatus.STATUS_SUCCEEDED, result
        fields = {"episodes": [0], "policy_version": 1}
        status, result = client.result(client.send(action.Rollout, topics.ROLLOUT, **fields))
        assert status == GoalStatus.STATUS_SUCCEEDED, result
