"""A new hand's estimator, reset, task or algorithm is one file; no other file changes."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from handlab_core.system.paths import share

FILES = {
    "handlab_core/estimation/halved.py": """
from handlab_core.estimation.angle import AngleEstimate
from handlab_core.estimation.estimator_table import ESTIMATORS, EstimatorSpec


class Halved:
    def __init__(self, fixture, robot):
        pass

    def follow(self, stamp, angle):
        return AngleEstimate(stamp, angle / 2, 0.0, 1.0, 1.0, 0.0, 0)


@ESTIMATORS.register
def halved():
    return EstimatorSpec(Halved)
""",
    "handlab_core/reset/none.py": """
import numpy as np

from handlab_core.reset.procedure import DONE, RESETS, ResetTick
from handlab_core.types import Command


class NoReset:
    attempt, elapsed, failed_joints = 7, 0.0, ()

    def __init__(self, hand, fixture, object_angle):
        self.hand = hand

    def tick(self, reading, period):
        limp = Command(reading.hand.q, np.zeros((1, self.hand.n)))
        still = Command(reading.fixture.q, np.zeros((1, 1)))
        return ResetTick(limp, still, DONE, self.attempt, 0.0, 0.0)


@RESETS.register
def none():
    return NoReset
""",
    "handlab_core/tasks/brief.py": """
from dataclasses import replace

from handlab_core.tasks.task import TASKS
from handlab_core.tasks.valve import valve


@TASKS.register
def brief():
    return replace(valve(), name="brief", steps=6, reset="none")
""",
    "handlab_learning/algorithms/lazy.py": """
from handlab_core.system.validation import checked
from handlab_learning.algorithms.algorithm import Method, algorithm
from handlab_learning.algorithms.npg import Npg, NpgConfig


@checked
class LazyConfig:
    pass


class Lazy(Npg):
    def __init__(self, spaces, config, seed, demonstrations=()):
        super().__init__(spaces, NpgConfig(episodes_per_iteration=2), seed)

    def update(self, episodes):
        self.version += 1
        return {}


algorithm("lazy", Method(LazyConfig, Lazy, demonstrations=False))
""",
}

SCRIPT = """
import json
import sys
from pathlib import Path

from handlab.graph.config import GraphConfig
from handlab.experiments.task_kinds import local_sampler
from handlab.graph.processes import BackgroundGraph
from handlab_core.environment.episode import EpisodePlan
from handlab_learning.algorithms import make_algorithm
from handlab_learning.runs.config import RunConfig
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.runtime.event_loop import guest

run = RunConfig("brief", algorithm="lazy", estimator="halved")
task = run.make_task()
policy = make_algorithm("lazy", task.spaces, run.algorithm_config(), 0).policy()
config = GraphConfig("brief", estimator="halved", learner=False, compose=True)
plan = EpisodePlan(0, [0])
with (
    BackgroundGraph(config, Path(sys.argv[1])) as graph,
    guest("learner", graph.domain, True) as (node, loop),
):
    [far] = GraphSampler(node, loop, task).sample(policy, plan)
[near] = local_sampler(task, 1, 1, "halved").sample(policy, plan)
print(json.dumps({
    "attempts": [far.time.reset_attempts, near.time.reset_attempts],
    "reset_s": [far.time.reset_s, near.time.reset_s],
    "steps": far.steps,
    "same": all((a == near.arrays[name]).all() for name, a in far.arrays.items()
                if name != "temperatures"),
}))
"""


@pytest.fixture
def packages(tmp_path):
    """Copies of the packages, with one more file for each new thing."""
    for name in ("handlab_core", "handlab_learning"):
        shutil.copytree(share() / "src" / name / name, tmp_path / name)
    for path, text in FILES.items():
        (tmp_path / path).write_text(text)
    return tmp_path


def test_an_estimator_a_reset_a_task_and_an_algorithm_are_one_file_each(packages):
    """All four run through the real graph, and give the same episode as in one process."""
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    command = [sys.executable, "-c", SCRIPT, str(packages / "nodes.log")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr + (packages / "nodes.log").read_text()
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"attempts": [7, 7], "reset_s": [0.0, 0.0], "steps": 6, "same": True}


def test_verbs_offer_what_one_file_adds(packages):
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    verbs = [sys.executable, "-m", "handlab.cli"]
    listed = subprocess.run([*verbs, "tasks"], env=environment, capture_output=True, text=True)
    assert "brief" in listed.stdout
    refused = subprocess.run(
        [*verbs, "train", "brief", "--algorithm", "none"], env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert "lazy" in refused.stderr and refused.returncode != 0
