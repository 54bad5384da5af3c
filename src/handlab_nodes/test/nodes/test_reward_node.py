"""Every reward of every task: in this process, through the graph, and on an emulated hand."""

import numpy as np
import pytest

from handlab.graph.config import GraphConfig, build_graph, on_machine
from handlab.graph.processes import BackgroundGraph
from handlab_core.environment.env import Env
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import LocalStation
from handlab_core.options import EMULATED
from handlab_core.tasks import TASKS, make_task
from handlab_core.types import Reward
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.clients.graph_station import GraphStation
from handlab_nodes.messages import cdr_codec
from handlab_nodes.runtime.event_loop import guest
from handlab_sim.backend import MujocoBackend

VARIANTS = [(name, reward) for name in sorted(TASKS) for reward in sorted(make_task(name).rewards)]
HANDS = {"dynamixel": "valve", "allegro": "allegro_valve"}
EMULATED_VARIANTS = [(hw, r) for hw, name in HANDS.items() for r in sorted(make_task(name).rewards)]


def still(task):
    """A policy that does nothing in particular."""
    o, n = task.observation_size, task.hand.n
    return GaussianPolicy(
        (np.full((o, n), 0.01),), (np.zeros(n),), np.full(n, -0.5), np.zeros(o), np.ones(o), 1
    )


@pytest.mark.parametrize(("name", "reward"), VARIANTS)
def test_the_graph_and_the_process_give_the_rewards_of_the_variant(name, reward, tmp_path):
    task = make_task(name).with_reward(reward)
    config = GraphConfig(name, reward=reward, learner=False, compose=True)  # quicker to start
    with (
        BackgroundGraph(config, tmp_path / "nodes.log") as graph,
        guest("learner", graph.domain) as (node, loop),
    ):
        [far] = GraphSampler(node, loop, task).sample(still(task), EpisodePlan(3, [0]))
    env = Env(task, LocalStation(task, MujocoBackend(task.hand, task.fixture)))
    [near] = rollout(env, still(task), EpisodePlan(3, [0]))
    assert near.trajectory.reward_terms.shape == (task.steps, len(task.rewards[reward]))
    for field in ("rewards", "reward_terms", "errors", "observations"):
        np.testing.assert_array_equal(far.arrays[field], near.arrays[field], err_msg=field)
    assert far.outcome == near.outcome


@pytest.mark.parametrize(("hardware", "reward"), EMULATED_VARIANTS)
def test_an_emulated_hand_gives_the_rewards_of_the_variant(hardware, reward, tmp_path):
    task = make_task(HANDS[hardware]).with_reward(reward)
    plain = GraphConfig(task.name, pace="real", reward=reward, runner=False, learner=False)
    with (
        BackgroundGraph(on_machine(plain, hardware, port=EMULATED), tmp_path / "log") as graph,
        guest("runner", graph.domain) as (node, loop),
    ):
        env = Env(task, GraphStation(node, loop, task, lockstep=False))
        _, start = env.reset(3, np.array([0]))
        computer = task.reward_computer()
        for _ in range(3):
            step = env.step(np.zeros((1, task.hand.n)))
            reward_of = env.reward(step)
            expected = computer.compute(step.sample.hand, step.sample.object, start.goal)
            np.testing.assert_array_equal(reward_of.terms, expected.terms)
            assert reward_of.error == expected.error


@pytest.mark.parametrize("reward", ["", "post"])
def test_all_nodes_of_a_graph_are_given_one_description_of_the_task(reward):
    plain = GraphConfig("flip", pace="real", reward=reward, bag="bag", viewer=True)
    configs = [
        on_machine(plain, "dynamixel", port=EMULATED),
        GraphConfig("flip", reward=reward, teacher="script", replay="hand", estimator="camera"),
        GraphConfig("flip", pace="real", reward=reward, replay="look", viewer=True),
    ]
    for config in configs:
        given = {
            (node.parameters.get("task"), node.parameters.get("reward"))
            for node in build_graph(config)
            if node.name != "recorder"  # which knows no task
        }
        assert given == {("flip", reward)}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_reward_of_another_variant_is_refused(name):
    task = make_task(name)
    counts = {len(terms) for terms in task.rewards.values()} | {1, 20}
    own = len(task.rewards[task.reward])
    for count in counts - {own}:
        zero = np.zeros(1)
        foreign = cdr_codec.Rewards(count).pack(
            Reward(zero, np.zeros((1, count)), zero, np.array([True])), 0, zero
        )
        with pytest.raises(ValueError, match="a Reward of"):
            cdr_codec.Rewards(own).unpack(foreign)
        with pytest.raises(ValueError, match="a Reward of"):
            cdr_codec.Rewards(own).key(foreign)
