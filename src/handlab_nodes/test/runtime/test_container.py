"""Nodes that share a process: the same graph, in fewer processes."""

import numpy as np
import pytest

from handlab.graph.config import GraphConfig, build_graph, on_machine
from handlab.graph.processes import BackgroundGraph, command
from handlab_core.environment.env import Env
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import LocalStation
from handlab_core.errors import UnknownName
from handlab_core.options import EMULATED
from handlab_core.tasks import make_task
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.runtime.container import NODES, node_class
from handlab_nodes.runtime.event_loop import guest
from handlab_sim.backend import MujocoBackend


def policy(task):
    rng = np.random.default_rng(0)
    o, n = task.observation_size, task.hand.n
    return GaussianPolicy(
        (rng.normal(size=(o, n)) / 4,), (np.zeros(n),), np.full(n, -0.5), np.zeros(o), np.ones(o), 1
    )


NAMES = {"driver", "estimator", "reward", "reset", "runner"}


def sample(config, tmp_path, numbers):
    task = make_task(config.task)
    with (
        BackgroundGraph(config, tmp_path / "nodes.log") as graph,
        guest("learner", graph.domain) as (node, loop),
    ):
        sampler = GraphSampler(node, loop, task)
        loop.wait(lambda: set(node.get_node_names()) >= NAMES, "the nodes, each by its name")
        return list(sampler.sample(policy(task), EpisodePlan(7, numbers)))


@pytest.mark.parametrize(
    ("name", "estimator"), [("valve", "encoder"), ("valve", "camera"), ("allegro_pose", "encoder")]
)
def test_composed_nodes_give_the_episodes_of_the_process_bit_for_bit(name, estimator, tmp_path):
    config = GraphConfig(name, estimator=estimator, learner=False, compose=True)
    task = make_task(name)
    episodes = sample(config, tmp_path, range(2))
    env = Env(task, LocalStation(task, MujocoBackend(task.hand, task.fixture), estimator))
    for number, far in enumerate(episodes):
        [near] = rollout(env, policy(task), EpisodePlan(7, [number]))
        for field in ("observations", "actions", "rewards", "reward_terms", "errors"):
            np.testing.assert_array_equal(far.arrays[field], near.arrays[field], err_msg=field)


def test_composed_nodes_run_an_episode_by_the_clock(tmp_path):
    config = GraphConfig("valve", pace="real", learner=False, compose=True)
    [episode] = sample(config, tmp_path, [0])
    assert episode.steps == make_task("valve").steps and episode.time.breaks == 0


def test_a_driver_of_hardware_keeps_a_process_of_its_own():
    plain = GraphConfig("valve", pace="real", compose=True)
    container, *others = build_graph(on_machine(plain, "dynamixel", port=EMULATED))
    assert container.names == ["estimator", "reward", "reset", "runner"]
    assert [node.name for node in others] == ["driver", "emulator", "learner"]


def test_every_composed_node_is_given_its_parameters():
    [container] = build_graph(GraphConfig("flip", reward="post", learner=False, compose=True))
    words = command(container)
    place = words.index("handlab_nodes.runtime.container")
    assert words[place + 1 : place + 6] == container.names
    assert "driver:task:=flip" in words and "runner:reward:=post" in words
    assert not any("__node" in word for word in words)


@pytest.mark.parametrize("name", sorted(NODES))
def test_every_node_that_can_be_composed_is_there(name):
    assert callable(node_class(name))


def test_an_unknown_node_is_refused_with_those_there_are():
    with pytest.raises(UnknownName, match=r"learner.*camera, driver"):
        node_class("learner")
