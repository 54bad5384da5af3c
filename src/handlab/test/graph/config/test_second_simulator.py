"""A simulator becomes part of handlab by one entry of the backend table."""

import os
from pathlib import Path

import numpy as np
import pytest

from handlab.experiments.task_kinds import local_sampler
from handlab.graph.calibration import calibration_of
from handlab.graph.config import GraphConfig, build_graph, on_machine
from handlab.graph.options import PERSON, SCRIPT
from handlab.graph.processes import BackgroundGraph
from handlab_core.environment.episode import EpisodePlan
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.hardware.backend_table import BACKENDS, BackendSpec
from handlab_core.options import EMULATED
from handlab_core.tasks import make_task
from handlab_learning.algorithms.npg import Npg, NpgConfig
from handlab_learning.runs.config import RunConfig
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.runtime.event_loop import guest

ENTRY = """
from handlab_core.hardware.backend_table import BACKENDS, BackendSpec

BACKENDS["kinematic"] = BackendSpec("kinematic_simulator:make_backend", simulated=True)
"""


@pytest.fixture
def kinematic(tmp_path, monkeypatch):
    """The entry, in this process and in all that it starts."""
    (tmp_path / "sitecustomize.py").write_text(ENTRY)
    folders = [str(tmp_path), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))
    monkeypatch.syspath_prepend(Path(__file__).parent)
    spec = BackendSpec("kinematic_simulator:make_backend", simulated=True)
    monkeypatch.setitem(BACKENDS, "kinematic", spec)
    return "kinematic"


def test_its_episodes_are_the_same_through_the_graph_and_in_this_process(kinematic, tmp_path):
    task = make_task("valve")
    policy = Npg(task.spaces, NpgConfig(), 0).policy()
    config = on_machine(GraphConfig(learner=False), kinematic)
    with (
        BackgroundGraph(config, tmp_path / "nodes.log") as graph,
        guest("learner", graph.domain, config.simulated) as (node, loop),
    ):
        [far] = GraphSampler(node, loop, task).sample(policy, EpisodePlan(3, [0]))
    [here] = local_sampler(task, 1, 1, hardware=kinematic).sample(policy, EpisodePlan(3, [0]))
    [mujoco] = local_sampler(task, 1, 1).sample(policy, EpisodePlan(3, [0]))
    np.testing.assert_array_equal(far.trajectory.observations, here.trajectory.observations)
    np.testing.assert_array_equal(far.trajectory.rewards, here.trajectory.rewards)
    assert not np.array_equal(here.trajectory.observations, mujoco.trajectory.observations)


def test_all_that_a_simulation_may_do_it_may_do(kinematic):
    config = GraphConfig(hardware=kinematic, pace="lockstep", teacher=SCRIPT, estimator="camera")
    assert config.simulated and calibration_of(config) == ""
    assert "camera" in [node.name for node in build_graph(config)]
    assert all(node.parameters["use_sim_time"] for node in build_graph(config))
    RunConfig(hardware=kinematic, backend="sim")
    assert BACKENDS[kinematic].learning_pace == "lockstep"


@pytest.mark.parametrize(
    "given", [{"station": "claw.yaml"}, {"port": "/dev/x"}, {"port": EMULATED}]
)
def test_it_has_no_station_file_and_no_port(kinematic, given):
    with pytest.raises(BadConfig, match="kinematic has no station file and no port"):
        on_machine(GraphConfig(), kinematic, **given)


def test_motors_without_an_emulator_are_not_emulated(monkeypatch):
    monkeypatch.setitem(BACKENDS, "other", BackendSpec("other:make", station_file=True))
    with pytest.raises(UnknownName, match="allegro, dynamixel"):
        on_machine(GraphConfig(pace="real"), "other", port=EMULATED)
    with pytest.raises(BadConfig, match="cannot wait"):
        GraphConfig(hardware="other", pace="lockstep")
    with pytest.raises(BadConfig, match="add --backend graph"):
        RunConfig(hardware="other", backend="sim")
    with pytest.raises(BadConfig, match="add --backend graph"):
        list(
            local_sampler(make_task("valve"), 1, 1, hardware="other").sample(
                None, EpisodePlan(0, [0])
            )
        )
    assert GraphConfig(hardware="other", pace="real", teacher=PERSON).simulated is False
