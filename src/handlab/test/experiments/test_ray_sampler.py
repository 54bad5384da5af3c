"""Episodes from a Ray cluster are those of one process, also when workers die.

The cluster has two nodes on this machine. Without the optional package ray the tests of it are
skipped.
"""

import os
import signal
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from handlab.experiments import ray_sampler
from handlab.experiments.task_kinds import Simulation, kind_of
from handlab_core.environment.episode import EpisodePlan
from handlab_core.errors import BadConfig
from handlab_core.tasks import make_task
from handlab_core.worlds.levels import MILD, level_of
from handlab_learning.algorithms import make_algorithm
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.options import RAY


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="ray is not installed; it is in requirements-ray.lock")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.add_node(num_cpus=1)
    made.wait_for_nodes()
    before = os.environ.get(ray_sampler.ADDRESS)
    os.environ[ray_sampler.ADDRESS] = made.address
    yield made
    ray.shutdown()
    made.shutdown()
    os.environ.pop(ray_sampler.ADDRESS)
    if before is not None:
        os.environ[ray_sampler.ADDRESS] = before


def policy(task):
    config = RunConfig(task.name, backend="sim").algorithm_config()
    return make_algorithm("npg", task.spaces, config, 0).policy()


def samplers(task, variations=()):
    """Return a sampler of the cluster, and one of this process."""
    kind = kind_of(task)
    here = Simulation(num_envs=3, threads=2, fresh=True)
    there = Simulation(num_envs=3, threads=2, workers=RAY)
    return kind.sampler(task, there, variations), kind.sampler(task, here, variations)


def assert_equal(some, others):
    assert [a.key for a in some] == [b.key for b in others]
    for a, b in zip(some, others, strict=True):
        for name, values in a.arrays.items():
            np.testing.assert_array_equal(values, b.arrays[name], err_msg=name)
        assert a.outcome == b.outcome and a.time == b.time and a.drawn == b.drawn


@pytest.mark.slow
@pytest.mark.parametrize("level", [None, MILD])
def test_episodes_of_a_cluster_of_two_nodes_are_those_of_one_process(cluster, level):
    task = make_task("valve")
    there, here = samplers(task, level_of(task, level) if level else ())
    plan = EpisodePlan(3, range(7, 14))
    assert_equal(list(there.sample(policy(task), plan)), list(here.sample(policy(task), plan)))


@pytest.mark.slow
def test_a_worker_that_is_killed_in_the_middle_loses_nothing(cluster):
    task = make_task("valve")
    there, here = samplers(task)
    plan = EpisodePlan(0, range(60))
    killed = []

    def kill_one():
        for _ in range(200):
            for process in psutil.Process().children(recursive=True):
                if "ray::_run" in " ".join(process.cmdline()):
                    process.send_signal(signal.SIGKILL)
                    killed.append(process.pid)
                    return
            time.sleep(0.05)

    killer = threading.Thread(target=kill_one)
    killer.start()
    found = list(there.sample(policy(task), plan))
    killer.join()
    assert killed
    assert_equal(found, list(here.sample(policy(task), plan)))


@pytest.mark.slow
def test_a_worker_with_other_code_is_refused(cluster, monkeypatch):
    task = make_task("valve")
    there, _ = samplers(task)
    monkeypatch.setattr(ray_sampler, "commit", lambda: "0123abc")
    with pytest.raises(BadConfig, match=r"this process 0123abc: install the same commit"):
        list(there.sample(policy(task), EpisodePlan(0, [0])))


def test_a_missing_package_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadConfig, match=r"pip install -r requirements-ray\.lock"):
        samplers(make_task("valve"))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"backend": "graph"}, "add --backend sim"),
        ({"backend": "sim", "task": "adroit_pen"}, "leave --workers"),
        ({"backend": "sim", "workers": "slurm"}, "ray"),
    ],
)
def test_impossible_combinations_are_refused(options, line):
    with pytest.raises(Exception, match=line):
        RunConfig(**{"task": "valve", "workers": RAY} | options)
