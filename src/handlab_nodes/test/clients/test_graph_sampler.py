"""Episodes of the graph are those of this process, bit for bit."""

import pytest
from std_srvs.srv import SetBool

from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.rollout import rollout
from handlab_core.tasks import TASKS, make_task
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.sampler import LocalSampler
from handlab_learning.runs.trainer import Trainer
from handlab_nodes.clients import graph_sampler
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.messages import topics

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


def off_policy(sampler, enough=lambda: False, update_ratio=0.2, own=0):
    """A trainer that learns while episodes run, after `own` demonstrations of its own."""
    settings = {"hidden": [8], "batch": 16, "first_episodes": 1, "update_ratio": update_ratio}
    settings["own_demonstrations"] = own
    config = RunConfig(algorithm="rlpd", evaluate_every=1000, seed=7, settings=settings)
    return Trainer(config, sampler, enough=enough)


def test_a_learner_in_the_graph_acts_and_learns_as_in_one_process_bit_for_bit(graph, local_env):
    with graph(*RING, "runner") as (_, node, loop):
        far = off_policy(GraphSampler(node, loop, TASK))
        rows = [far.iterate() for _ in range(4)]
    near = off_policy(LocalSampler(lambda count: local_env(TASK), 1))
    for row in rows:
        assert row["learner"] == near.iterate()["learner"]
    assert rows[-1]["learner"]["updates"] == 12
    for name, tensor in far.algorithm.state_dict().items():
        assert tensor.equal(near.algorithm.state_dict()[name]), name


def test_a_search_for_gaits_in_the_graph_goes_as_in_one_process_bit_for_bit(graph, local_env):
    with graph(*RING, "runner") as (_, node, loop):
        far = off_policy(GraphSampler(node, loop, TASK), own=1)
        rows = [far.iterate() for _ in range(2)]
    near = off_policy(LocalSampler(lambda count: local_env(TASK), 1), own=1)
    assert "best_gait_cost" in rows[0]["learner"]
    for row in rows:
        assert row["learner"] == near.iterate()["learner"]


MODELS = {
    "local_models": {"search_iterations": 1, "episodes_per_iteration": 2},
    "mpc": {
        "random_episodes": 2, "episodes_per_fit": 2, "hidden": [16], "samples": 30, "epochs": 2,
    },
}  # fmt: skip
"""Small settings by algorithm; an iteration is two episodes."""


@pytest.mark.parametrize("algorithm", MODELS)
def test_learned_models_in_the_graph_act_and_learn_as_in_one_process_bit_for_bit(
    graph, local_env, algorithm
):
    """The message carries gains of every step, or networks; the runner counts steps, or plans."""

    def trainer(sampler):
        return Trainer(RunConfig(algorithm=algorithm, seed=7, settings=MODELS[algorithm]), sampler)

    with graph(*RING, "runner") as (_, node, loop):
        far = trainer(GraphSampler(node, loop, TASK))
        rows = [far.iterate() for _ in range(3)]
    near = trainer(LocalSampler(lambda count: local_env(TASK), 1))
    for row in rows:
        assert row["learner"] == near.iterate()["learner"]
    assert rows[-1]["learner"].get("improved_controllers", 1.0) == 1.0
    for name, tensor in far.algorithm.state_dict().items():
        assert tensor.equal(near.algorithm.state_dict()[name]), name


def test_the_runner_acts_while_the_learner_learns(graph):
    """The episode arrives in the middle of the updates, and ends them where time counts."""
    with graph(*RING, "runner") as (_, node, loop):
        sampler, looks = GraphSampler(node, loop, TASK), []

        def enough():
            loop.once(0.0)
            looks.append(sampler.ended)
            return sampler.ended

        trainer = off_policy(sampler, enough, update_ratio=1e4)
        trainer.iterate()
        row = trainer.iterate()
    assert looks[-1] and not looks[0]
    assert 0 < row["learner"]["updates"] < 1e4 * TASK.steps


def test_a_runner_that_dies_while_the_learner_learns_costs_its_episode_only(graph):
    with graph(*RING, "runner") as (nodes, node, loop):
        looks = []

        def enough():
            looks.append(True)
            if len(looks) == 2:
                nodes.kill("runner")
                nodes.start("runner")
            loop.once(0.0)

        trainer = off_policy(GraphSampler(node, loop, TASK), enough, update_ratio=20.0)
        rows = [trainer.iterate() for _ in range(3)]
    assert len(looks) > 2 and [row["iteration"] for row in rows] == [1, 2, 3]
    assert trainer.algorithm.replay.episodes == 3


def test_a_hand_that_a_person_has_stopped_takes_no_patience(graph, policy, monkeypatch):
    """A person may leave the hand stopped, or it may cool, for longer than an episode may take."""
    patience = 4.0
    with graph(*RING, "runner") as (_, node, loop):
        sampler = GraphSampler(node, loop, TASK)
        list(sampler.sample(policy(TASK), EpisodePlan(7, [0])))
        monkeypatch.setattr(graph_sampler, "EPISODE_PATIENCE", patience)
        service = topics.of_driver("driver", topics.EMERGENCY_STOP)
        client = node.create_client(SetBool, service)
        loop.wait(client.service_is_ready, service)
        episodes = sampler.sample(policy(TASK), EpisodePlan(7, range(1, 30)))
        assert loop.result(client.call_async(SetBool.Request(data=True)), service).success
        engaging = []
        timer = node.create_timer(
            2 * patience,
            lambda: engaging or engaging.append(client.call_async(SetBool.Request(data=False))),
        )
        assert [episode.number for episode in episodes] == list(range(1, 30))
        assert engaging and engaging[0].result().success
        timer.cancel()
