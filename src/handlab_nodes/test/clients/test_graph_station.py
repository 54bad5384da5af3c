"""The station of a graph: reset, teleport and steps."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from rclpy.action import ActionClient
from std_srvs.srv import SetBool

from handlab_core.environment.env import Env
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import start_request
from handlab_core.reset.motor import ResetConfig
from handlab_core.tasks import make_task
from handlab_interfaces.action import Reset
from handlab_nodes.clients.graph_station import GraphStation
from handlab_nodes.messages import topics

TASK = make_task("valve")
RING = ("driver", "estimator", "reward", "reset")


def test_the_reset_tells_its_stages_and_ends_within_tolerance(graph):
    with graph(*RING) as (_, node, loop):
        station = GraphStation(node, loop, TASK, lockstep=True)
        env = Env(TASK, station)
        env.reset(0, np.array([0]))
        for _ in range(10):
            env.step(np.full((1, TASK.hand.n), 0.8))
        client, stages = ActionClient(node, Reset, topics.RESET), []
        sending = client.send_goal_async(
            Reset.Goal(object_angle=1.0),
            feedback_callback=lambda m: stages.append(m.feedback.stage),
        )
        handle = loop.result(sending, "acceptance")
        result = loop.result(handle.get_result_async(), "the result").result
        loop.wait(lambda: "done" in stages, "the last feedback")
        assert result.success and result.attempts == 1 and not result.failed_joints
        assert stages == ["release", "object_home", "hand_home", "verify", "done"]
        start = station.reset(start_request(TASK, 0, np.array([1])))
        assert np.abs(start.hand.q[0] - TASK.hand.nominal).max() <= np.deg2rad(5)
        assert abs(start.object.angle[0]) <= np.deg2rad(5)


def test_a_reset_without_torque_says_so_at_once_and_succeeds_when_it_is_on_again(graph):
    with graph(*RING, driver={"pace": "real"}) as (_, node, loop):
        client = ActionClient(node, Reset, topics.RESET)
        torque = node.create_client(SetBool, topics.HAND_TORQUE)

        def reset():
            handle = loop.result(client.send_goal_async(Reset.Goal()), "acceptance")
            return loop.result(handle.get_result_async(), "the result").result

        def turn(on):
            request = SetBool.Request(data=on)
            loop.wait(lambda: loop.ask(torque, request, topics.HAND_TORQUE).success, "the driver")

        loop.wait(torque.service_is_ready, "the driver", 200.0)
        turn(on=False)
        refused = reset()
        assert not refused.success and refused.attempts == 1
        assert "torque is off: turn it on" in refused.message
        assert refused.duration < ResetConfig().release_time + ResetConfig().hand_timeout
        turn(on=True)
        done = reset()
        assert done.success and not done.message


def test_a_teleport_is_there_for_simulation_and_gives_the_same_as_in_process(graph, local_env):
    with graph(*RING) as (_, node, loop):
        far = Env(TASK, GraphStation(node, loop, TASK, lockstep=True), teleport=True)
        near = local_env(TASK)
        near.teleport = True
        for number in (0, 1):
            a, b = far.reset(3, np.array([number])), near.reset(3, np.array([number]))
            np.testing.assert_array_equal(a[0], b[0])
            for _ in range(3):
                action = np.full((1, TASK.hand.n), 0.5)
                np.testing.assert_array_equal(
                    far.step(action).observation, near.step(action).observation
                )


def test_in_real_pace_episodes_take_their_time(graph):
    with graph(*RING, driver={"pace": "real"}) as (_, node, loop):
        env = Env(TASK, GraphStation(node, loop, TASK, lockstep=False))
        env.reset(0, np.array([0]))
        began, still = time.monotonic(), np.zeros((1, TASK.hand.n))
        stamps = [float(env.step(still).sample.hand.stamp[0]) for _ in range(20)]
        # Never faster than the clock; how much slower is this machine's affair.
        assert time.monotonic() - began >= 19 * TASK.period
        assert np.median(np.diff(stamps)) == pytest.approx(TASK.period, rel=0.25)


def test_a_goal_that_was_lost_is_announced_again(monkeypatch, graph, policy):
    with graph(*RING) as (_, node, loop):
        station, sent = GraphStation(node, loop, TASK, lockstep=True), []
        announce = station._goals.publish

        def lossy(message):
            sent.append(message.episode)
            if len(sent) > 1:
                announce(message)

        monkeypatch.setattr(station, "_goals", SimpleNamespace(publish=lossy))
        [episode] = rollout(Env(TASK, station), policy(TASK), EpisodePlan(7, [3]))
    assert sent == [3, 3]
    assert episode.steps == TASK.steps and episode.time.breaks == 0
