"""The suite from the command line's side: processes, runs, demonstrations."""

from dataclasses import replace

import numpy as np
import pytest

from handlab.experiments import training
from handlab.experiments.adroit_samplers import CHUNK, SuiteSampler
from handlab.experiments.demonstrations import demonstrations_of
from handlab.experiments.robustness import evaluate_varied
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.errors import BadConfig, BadDemonstrations, UnknownName
from handlab_core.tasks.adroit import SUITE, find_task
from handlab_core.tasks.variation import parse_variations
from handlab_learning.runs.config import RunConfig
from handlab_sim.adroit.environment import AdroitWorld

SMALL = {"npg.hidden": [8], "npg.episodes_per_iteration": 3, "npg.baseline.hidden": [8]}


def test_episodes_do_not_depend_on_the_number_of_processes():
    task = replace(find_task("adroit_relocate"), steps=10)
    rng = np.random.default_rng(0)
    policy = GaussianPolicy(
        (0.3 * rng.normal(size=(39, 30)),), (np.zeros(30),), np.zeros(30), np.zeros(39),
        np.ones(39), 1,
    )  # fmt: skip
    vary = parse_variations(["object.scale=0.8:1.2"])
    numbers = range(2 * CHUNK + 1)
    alone = list(SuiteSampler(task, 1, vary).sample(policy, EpisodePlan(3, numbers)))
    many = list(SuiteSampler(task, 2, vary).sample(policy, EpisodePlan(3, numbers)))
    assert [e.number for e in many] == list(numbers)
    for a, b in zip(alone, many, strict=True):
        for field in ("observations", "actions", "rewards"):
            np.testing.assert_array_equal(a.arrays[field], b.arrays[field])


@pytest.fixture
def demonstrated(monkeypatch):
    """Demonstrations of the relocation: what a policy that knows nothing does."""
    task = find_task("adroit_relocate")
    policy = GaussianPolicy(
        (np.zeros((39, 30)),), (np.full(30, 0.1),), np.zeros(30), np.zeros(39), np.ones(39), 0
    )
    made = list(AdroitWorld(task).sample(policy, EpisodePlan(9, range(2))))

    def read(name, wanted):
        assert (name, wanted.name) == ("some/data-v0", "adroit_relocate")
        return made

    monkeypatch.setattr("handlab_sim.adroit.minari_dataset.read_dataset", read)
    monkeypatch.setenv("HANDLAB_PROCESSES", "1")


@pytest.mark.parametrize("algorithm", ["bc", "dapg"])
def test_a_run_of_the_suite(tmp_path, demonstrated, algorithm):
    """From demonstrations to a summary, a checkpoint that acts, and a table over masses."""
    settings = SMALL if algorithm == "dapg" else {"hidden": [8], "cloning.epochs": 2}
    config = RunConfig(
        "adroit_relocate", algorithm=algorithm, backend="sim", demos="some/data-v0",
        max_hours=0.003, evaluate_every=1, evaluation_episodes=2, settings=settings,
    )  # fmt: skip
    folder = training.new_run(config, tmp_path)
    summary = training.train(folder, resume=False)
    assert summary["iterations"] == 2 and summary["success_rate"] == 0.0
    learned_on = 2 * 3 * 2.0 / 3600 if algorithm == "dapg" else 0.0
    assert summary["robot_hours"] == pytest.approx(learned_on)
    assert ("mean_return" in folder.metrics()[1]) == (algorithm == "dapg")
    [mass] = parse_variations(["object.mass=1,2"])
    varied = evaluate_varied(folder.path, [mass], points=2, episodes=1, seed=0)
    assert [row["value"] for row in varied["vary"]["object.mass"]] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"backend": "graph"}, BadConfig, "no graph and no camera: add --backend sim"),
        ({"estimator": "camera"}, BadConfig, "leave --estimator"),
        ({"vary": ["goal.angle=1"]}, BadConfig, "only the object varies"),
        ({"reward": "robel"}, UnknownName, "gymnasium, published"),
        ({"algorithm": "dapg"}, BadConfig, "--demos"),
        ({"demos": "some/data-v0"}, BadConfig, "npg learns without demonstrations"),
        ({"task": "adroit_dor"}, UnknownName, "adroit_door, adroit_hammer"),
    ],
)
def test_a_run_of_the_suite_that_cannot_be_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        RunConfig(**{"task": "adroit_door", "backend": "sim"} | change)


def test_the_published_settings_are_the_suites_own():
    """hand_dapg/dapg/examples/dapg.txt, but for what the run says."""
    config = RunConfig(
        "adroit_pen", algorithm="dapg", backend="sim", demos="x", settings={"npg.gamma": 0.9}
    ).algorithm_config()
    assert config.npg.hidden == (32, 32) and config.npg.episodes_per_iteration == 200
    assert config.npg.kl == 0.025 and config.npg.gamma == 0.9 and config.npg.baseline.epochs == 2
    assert config.lambda0 == 0.1 and config.lambda1 == 0.95 and config.max_advantage
    assert config.cloning.epochs == 5 and config.cloning.units and config.cloning.noise == 1.0


def test_the_door_is_cloned_otherwise():
    config = RunConfig(
        "adroit_door", algorithm="dapg", backend="sim", demos="x"
    ).algorithm_config()  # fmt: skip
    assert config.cloning.jitter == 0.3 and config.cloning.units and config.lambda0 == 0.01
    assert config.npg.gamma == 0.995 and not config.max_advantage


@pytest.mark.parametrize("name", list(SUITE))
@pytest.mark.parametrize("algorithm", ["npg", "bc", "dapg"])
def test_every_setting_of_the_suite_is_one_of_the_algorithm(name, algorithm):
    RunConfig(name, algorithm=algorithm, backend="sim", demos="" if algorithm == "npg" else "x")


def test_a_dataset_that_is_not_there_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))

    def nowhere(*_, **__):
        raise ValueError("no remote here")

    monkeypatch.setattr("minari.storage.hosting.download_dataset", nowhere)
    config = RunConfig("adroit_pen", algorithm="bc", backend="sim", demos="a/b-v0")
    with pytest.raises(BadDemonstrations, match="no demonstrations 'a/b-v0' for adroit_pen"):
        demonstrations_of(config)
