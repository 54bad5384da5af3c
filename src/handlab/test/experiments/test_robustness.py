"""Varied episodes: determinism, accounts, and the words about them."""

import json
import math

import numpy as np
import pytest

from handlab.benches.learning import estimators
from handlab.experiments import evaluation, robustness, training
from handlab.experiments.task_kinds import local_sampler
from handlab.graph.config import GraphConfig, build_graph
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.tasks import make_task
from handlab_core.tasks.variation import parse_variations
from handlab_core.worlds.levels import level_of
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_sim.backend import PLACING_TIME

TASK = make_task("valve")
SMALL = {"hidden": [8], "episodes_per_iteration": 2, "baseline.hidden": [8]}
VARY = ["object.mass=0.5:2", "object.lobes=3,4", "goal.angle=2:3"]


def policy():
    rng = np.random.default_rng(0)
    n, o = TASK.hand.n, TASK.observation_size
    return GaussianPolicy(
        (rng.normal(size=(o, 16)) / 4, rng.normal(size=(16, n)) / 4),
        (np.zeros(16), np.zeros(n)), np.full(n, -0.5), np.zeros(o), np.ones(o), 0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run with variations."""
    return small_run(tmp_path_factory.mktemp("varied"))


def small_run(root, **changes):
    config = RunConfig(
        backend="sim", max_hours=0.008, evaluate_every=2, evaluation_episodes=2, until="hours",
        settings=SMALL, vary=VARY, **changes,
    )  # fmt: skip
    folder = training.new_run(config, root)
    return folder, training.train(folder, resume=False, num_envs=3, threads=1)


def test_an_episode_is_the_same_beside_others_and_after_others():
    variations = parse_variations(VARY)
    many = local_sampler(TASK, 5, 2, variations=variations)
    whole = list(many.sample(policy(), EpisodePlan(3, range(6))))
    one = local_sampler(TASK, 1, 1, variations=variations)
    [last] = one.sample(policy(), EpisodePlan(3, [5]))
    for name in ("observations", "actions", "rewards", "errors"):
        np.testing.assert_array_equal(last.arrays[name], whole[5].arrays[name])
    assert [e.number for e in whole] == list(range(6))
    goals = [e.trajectory.goal_angle.item() for e in whole]
    assert len(set(goals)) == 6 and all(2 <= goal <= 3 for goal in goals)


def test_a_randomised_episode_is_the_same_beside_others_and_says_what_was_drawn():
    variations = level_of(TASK, "full")
    many = local_sampler(TASK, 3, 1, variations=variations)
    whole = list(many.sample(policy(), EpisodePlan(3, range(4))))
    one = local_sampler(TASK, 1, 1, variations=variations)
    [last] = one.sample(policy(), EpisodePlan(3, [3]))
    for name in ("observations", "actions", "rewards", "errors"):
        np.testing.assert_array_equal(last.arrays[name], whole[3].arrays[name])
    assert last.drawn == whole[3].drawn != whole[2].drawn
    assert set(last.drawn) == {variation.name for variation in variations}


def test_a_run_keeps_what_its_episodes_drew(tmp_path):
    config = RunConfig(
        backend="sim", max_hours=0.008, evaluate_every=2, evaluation_episodes=2, until="hours",
        settings=SMALL, randomise="mild", vary=["servo.gain=3"],
    )  # fmt: skip
    folder = training.new_run(config, tmp_path)
    training.train(folder, resume=False, num_envs=2, threads=1)
    [row] = [row for row in folder.metrics() if "drawn" in row][:1]
    assert row["drawn"]["servo.gain"] == [3.0, 3.0]
    low, high = row["drawn"]["servo.damping"]
    assert low != high and 0.5 <= low <= 1.25


def test_worlds_that_cannot_be_had_are_refused(tmp_path):
    with pytest.raises(BadConfig, match="--backend sim"):
        RunConfig(randomise="full")
    with pytest.raises(UnknownName, match="fitted, full, mild, none"):
        RunConfig(backend="sim", randomise="wild")
    fitted = RunConfig(backend="sim", randomise="fitted", fitted=str(tmp_path / "claw.yaml"))
    with pytest.raises(BadConfig, match="identify"):
        training.new_run(fitted, tmp_path)


def test_placing_another_object_is_paid_for():
    varied = local_sampler(TASK, 2, 1, variations=parse_variations(["object.mass=2"]))
    assert [e.time.reset_s for e in varied.sample(policy(), EpisodePlan(0, [0, 1]))] == [
        PLACING_TIME
    ] * 2


def test_each_episode_has_an_object_of_its_own():
    sampler = local_sampler(TASK, 5, 1, variations=parse_variations(VARY))
    objects = [sampler.world_in(3, i).object for i in range(20)]
    assert len(set(objects)) == 20 and {o.lobes for o in objects} == {3, 4}
    assert objects == [sampler.world_in(3, i).object for i in range(20)]


def test_start_and_goal_alone_need_no_other_object():
    sampler = local_sampler(TASK, 2, 1, variations=parse_variations(["goal.angle=1"]))
    episodes = list(sampler.sample(policy(), EpisodePlan(0, [0, 1])))
    assert all(
        e.trajectory.goal_angle.item() == 1.0 and e.time.reset_s < PLACING_TIME for e in episodes
    )


def test_a_run_with_variations_is_a_function_of_its_seed_and_says_what_varied(run, tmp_path):
    folder, _ = run
    other, _ = small_run(tmp_path)
    assert [{**r, "wall_s": 0, "steps_per_s": 0, "learn_s": 0} for r in folder.metrics()] == [
        {**r, "wall_s": 0, "steps_per_s": 0, "learn_s": 0} for r in other.metrics()
    ]
    assert RunFolder(folder.path).config().vary == VARY


def test_success_over_a_range_is_told_and_drawn(run):
    folder, _ = run
    variations = parse_variations([f"goal.angle=1:{math.pi}", "object.lobes=2,3"])
    told = robustness.evaluate_varied(folder.path, variations, 3, 4, 0, num_envs=4)
    assert json.loads(json.dumps(told)) == told and told["episodes"] == 4 * 5
    goals, lobes = told["vary"]["goal.angle"], told["vary"]["object.lobes"]
    assert [row["value"] for row in goals] == pytest.approx([1.0, (1 + math.pi) / 2, math.pi])
    assert [row["value"] for row in lobes] == [2.0, 3.0]
    plain = evaluation.evaluate(folder.path, 4, 0, num_envs=4)
    named = {key: plain.pop(key) for key in ("policy", "iteration", "checkpoint")}
    assert named.items() <= told.items() and named["policy"] == "best"
    for as_it_is in (goals[2], lobes[1]):
        assert {**as_it_is, **plain} == as_it_is
    assert goals[0]["mean_return"] != plain["mean_return"]
    assert len(robustness.table_lines("goal.angle", goals)) == 4
    for name, path in told["plots"].items():
        assert path == str(folder.path / f"vary-{name}.png")
        assert (folder.path / f"vary-{name}.png").read_bytes().startswith(b"\x89PNG")


def test_variations_that_cannot_be_trained_with_are_refused():
    with pytest.raises(BadConfig, match="--backend sim"):
        RunConfig(vary=["object.mass=2"])
    with pytest.raises(UnknownName, match=r"object\.mass"):
        RunConfig(backend="sim", vary=["object.weight=2"])
    with pytest.raises(BadConfig, match="one value or a range"):
        RunConfig(backend="sim", vary=["goal.angle=1,2"])


def test_a_graph_with_a_camera_has_a_camera_only_where_it_is_simulated():
    def names(**options):
        return [n.name for n in build_graph(GraphConfig(estimator="camera", **options))]

    assert "camera" in names()
    assert "camera" not in names(hardware="dynamixel", pace="real")
    with pytest.raises(UnknownName, match="camera, encoder"):
        GraphConfig(estimator="sonar")
    with pytest.raises(UnknownName, match="camera, encoder"):
        RunConfig(estimator="sonar")


def test_the_estimators_figures_are_those_of_a_filter_that_knows_its_error(monkeypatch):
    monkeypatch.setattr(estimators, "NUM_ENVS", 2)
    monkeypatch.setattr(estimators, "ROUNDS", 1)
    result = estimators.figures(TASK, policy(), 0)
    encoder, camera = result.details["encoder"], result.details["camera"]
    assert encoder["rms_error"] < 1e-3 < camera["rms_error"] == result.value < 0.3
    # This policy hardly moves the object, so that the filter, set for one that does, is modest.
    assert 0.1 < camera["nees"] < 1.5 and 0.1 < camera["nis"] < 1.5
    assert camera["innovations"] > encoder["innovations"] > 200
