"""Rollouts whose nodes end, start again, miss rewards or get another policy."""

import signal
import threading

import numpy as np
import pytest

from handlab_core.environment.episode import EpisodePlan
from handlab_core.tasks import make_task
from handlab_interfaces.msg import EpisodeGoal
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.messages import convert, qos, topics

TASK = make_task("valve")
RING = ("driver", "estimator", "reward", "reset")


@pytest.mark.parametrize("victim", ["camera", "estimator"])
def test_a_camera_or_its_estimator_may_be_started_again(victim, graph, policy):
    parameters = {"estimator": {"estimator": "camera"}}
    with graph(*RING, "camera", "runner", **parameters) as (nodes, node, loop):
        done = []

        sampler = GraphSampler(node, loop, TASK)
        for episode in sampler.sample(policy(TASK), EpisodePlan(7, range(4))):
            done.append(episode.number)
            if len(done) == 1:
                nodes.kill(victim)
                nodes.start(victim, **parameters.get(victim, {}))
    assert done == list(range(4))


@pytest.mark.parametrize("victim", ["runner", "estimator", "reward", "reset"])
def test_a_node_that_is_killed_and_started_again_does_not_end_the_run(victim, graph, policy):
    """The world waits; the episodes asked for come, each once."""
    with graph(*RING, "runner") as (nodes, node, loop):
        episodes = []
        for episode in GraphSampler(node, loop, TASK).sample(
            policy(TASK), EpisodePlan(7, range(6))
        ):
            episodes.append(episode)
            if len(episodes) == 2:
                nodes.kill(victim)
                nodes.start(victim)
    assert [e.number for e in episodes] == list(range(6))
    assert all(
        e.steps == TASK.steps and np.isfinite(e.trajectory.observations).all() for e in episodes
    )


def test_a_policy_of_another_layout_ends_the_rollout_with_both_layouts(graph, policy):
    with graph(*RING, "runner") as (_, node, loop):
        sampler = GraphSampler(node, loop, TASK)
        message = convert.policy_msg(policy(TASK), TASK)
        message.layout = '[["x", 1]]'
        sampler._policies.publish(message)
        sampler._policies.publish = lambda _: None
        with pytest.raises(Exception, match=r'\[\["x", 1\]\].*joints'):
            list(sampler.sample(policy(TASK), EpisodePlan(0, [0])))


def test_an_episode_with_a_lost_reward_is_broken_off_and_repeated_at_once(graph, policy):
    """The reward node misses more states than a stream, its socket and DDS keep for it.

    DDS forgets a silent node after 20 s: it is stopped for less.
    """
    real = {name: {"pace": "real"} for name in (*RING, "runner")}
    with graph(*real, **real) as (nodes, node, loop):
        sampler, reward, goals = GraphSampler(node, loop, TASK), nodes["reward"], []

        def on_goal(message):
            began = message.header.stamp.sec, message.header.stamp.nanosec
            goals.append((message.episode, *began))
            if len(goals) == 1:
                for seconds, number in ((1.0, signal.SIGSTOP), (17.0, signal.SIGCONT)):
                    threading.Timer(seconds, reward.send_signal, [number]).start()

        node.create_subscription(EpisodeGoal, topics.GOAL, on_goal, qos.LATCHED)
        [episode] = sampler.sample(policy(TASK), EpisodePlan(7, [0]))
    attempts = dict.fromkeys(goals)  # while a reward is missing, a goal is announced again
    assert [number for number, *_ in attempts] == [0] * (episode.time.breaks + 1)
    assert episode.time.breaks >= 1 and episode.steps == TASK.steps
    assert episode.time.reset_s > 1.0  # with the time of the attempt that was broken off
