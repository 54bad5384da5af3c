"""Episodes of the graph are those of this process, bit for bit."""

import pytest

from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.rollout import rollout
from handlab_core.tasks import TASKS, make_task
from handlab_nodes.clients.graph_sampler import GraphSampler

TASK = make_task("valve")
RING = ("driver", "estimator", "reward", "reset")


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_graph_gives_the_episodes_of_the_process_bit_for_bit(
    name, graph, policy, local_env, assert_same
):
    task = make_task(name)
    parameters = {node: {"task": name} for node in (*RING, "runner")}
    with graph(*parameters, **parameters) as (_, node, loop):
        got = list(GraphSampler(node, loop, task).sample(policy(task), EpisodePlan(7, range(3))))
    env = local_env(task)
    for number, episode in enumerate(got):
        assert_same(episode, rollout(env, policy(task), EpisodePlan(7, [number]))[0])


def test_with_a_camera_too_the_graph_gives_the_episodes_of_the_process(
    graph, policy, local_env, assert_same
):
    with graph(*RING, "camera", "runner", estimator={"estimator": "camera"}) as (_, node, loop):
        got = list(GraphSampler(node, loop, TASK).sample(policy(TASK), EpisodePlan(7, range(3))))
    env, sharp = local_env(TASK, estimator="camera"), local_env(TASK)
    for number, episode in enumerate(got):
        assert_same(episode, rollout(env, policy(TASK), EpisodePlan(7, [number]))[0])
        assert (
            episode.trajectory.errors
            != rollout(sharp, policy(TASK), EpisodePlan(7, [number]))[0].trajectory.errors
        ).any()
