"""Tasks of all kinds are run through one object each, and no code asks for a task's class."""

import re

import numpy as np
import pytest

from handlab.experiments.demonstrations import source
from handlab.experiments.task_kinds import KINDS, Simulation, kind_of
from handlab_core.environment.episode import EpisodePlan
from handlab_core.system.paths import share
from handlab_core.tasks import TASKS
from handlab_core.tasks.adroit import SUITE, find_task
from handlab_core.tasks.variation import parse_variations
from handlab_learning.algorithms import make_algorithm
from handlab_learning.runs.config import RunConfig


@pytest.mark.parametrize("name", sorted([*TASKS, *SUITE]))
def test_a_task_of_any_kind_has_what_a_learner_needs(name):
    task = find_task(name)
    assert task.kind in KINDS and task.name == name and task.reward in task.rewards
    assert sum(size for _, size in task.layout) == task.spaces.observation
    assert str(task.success) and str(task.strict)
    config = RunConfig(name, backend="sim")
    learner = make_algorithm("npg", task.spaces, config.algorithm_config(), 0)
    observation = np.zeros((1, task.spaces.observation))
    assert learner.policy().act(observation).shape == (1, task.spaces.action)


@pytest.mark.parametrize(
    ("name", "vary"), [("valve", "goal.angle=1"), ("adroit_pen", "object.mass=2")]
)
def test_samplers_of_all_kinds_run_the_episodes_of_a_plan_in_order(name, vary):
    task = find_task(name)
    kind, simulation = kind_of(task), Simulation(num_envs=2, threads=1)
    policy = make_algorithm(
        "npg", task.spaces, RunConfig(name, backend="sim").algorithm_config(), 0
    ).policy()
    [point] = parse_variations([vary])
    for sampler in (
        kind.sampler(task, simulation),
        kind.sampler(task, simulation, [point]),
        kind.sampler_at(task, simulation, point),
    ):
        episodes = list(sampler.sample(policy, EpisodePlan(3, [5, 1, 4], deterministic=True)))
        assert [episode.number for episode in episodes] == [5, 1, 4]
        assert all(episode.key.seed == 3 and episode.key.deterministic for episode in episodes)


def test_demonstrations_are_named_as_their_kind_names_them(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert source("adroit_door", "dapg", "D4RL/door/human-v2") == "D4RL/door/human-v2"
    assert source("valve", "dapg", "bag") == str(tmp_path / "bag")


def test_no_code_asks_for_the_class_of_a_task():
    fork = re.compile(r"isinstance\([^()]*, \(?(?:Suite)?Task\b")
    files = [p for p in (share() / "src").glob("*/handlab*/**/*.py")]
    assert len(files) > 100
    assert not [str(p) for p in files if fork.search(p.read_text())]
