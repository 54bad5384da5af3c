"""Demonstrations that come along, and those of a run."""

import sys
from types import SimpleNamespace

import pytest

from handlab.experiments import demonstrations, training
from handlab.teaching.scripted import demonstrate
from handlab_core.demonstrations.recording import to_episode
from handlab_core.demonstrations.scripted_teacher import TeacherConfig
from handlab_core.errors import BadConfig, BadDemonstrations
from handlab_core.system.paths import share
from handlab_core.tasks import TASKS, make_task
from handlab_data.demonstration_reader import read_demonstrations
from handlab_learning.runs.config import RunConfig

CLAW_TASKS = [name for name in TASKS if make_task(name).hand_name == "claw"]


@pytest.mark.parametrize("name", CLAW_TASKS)
def test_every_claw_task_has_a_reference_bag_of_successes(name):
    """Twenty strict ones of the tasks that figures are shown of."""
    task = make_task(name)
    episodes = read_demonstrations(share() / "demos" / name, task)
    assert len(episodes) >= 10 and all(episode.success for episode in episodes)
    assert {episode.trajectory.observations.shape[1] for episode in episodes} == {
        task.observation_size
    }
    if name in ("valve", "flip"):
        assert len(episodes) == 20 and all(episode.outcome.strict_success for episode in episodes)


SMALL = {"npg.hidden": [8], "npg.baseline.hidden": [8], "npg.episodes_per_iteration": 2}


@pytest.fixture
def bag(tmp_path, monkeypatch):
    """A bag whose reader gives two demonstrations of the scripted teacher."""
    asked = []

    def read(path, task):
        asked.append((path, task.name))
        motions = demonstrate(task, TeacherConfig(), 0, range(2))
        return [to_episode(motion, task) for motion in motions]

    reader = SimpleNamespace(read_demonstrations=read)
    monkeypatch.setitem(sys.modules, "handlab_data.demonstration_reader", reader)
    path = tmp_path / "bag"
    path.mkdir()
    return path, asked


def test_a_resumed_run_reads_its_bag_again_and_goes_on(bag, tmp_path):
    """Ended after one iteration of two, with the checkpoint that a crash would have left."""
    path, asked = bag
    hours = [2 * 7.0 / 3600, 4 * 6.0 / 3600]
    runs = []
    for name, limits in (("whole", hours[1:]), ("halves", hours)):
        config = RunConfig(
            algorithm="dapg", backend="sim", demos=str(path), max_hours=limits[0], until="hours",
            evaluate_every=9, evaluation_episodes=1, settings=SMALL | {"cloning.epochs": 1},
        )  # fmt: skip
        folder = training.new_run(config, tmp_path / name)
        training.train(folder, resume=False, num_envs=1, threads=1)
        if len(limits) > 1:
            text = folder.config_path.read_text()
            folder.config_path.write_text(
                text.replace(f"max_hours: {limits[0]}", f"max_hours: {limits[1]}")
            )
            training.train(folder, resume=True, num_envs=1, threads=1)
        runs.append(folder)
    assert asked == [(path, "valve")] * 5  # a new run reads it before it has a folder
    whole, halves = ([row["learner"] for row in folder.metrics()] for folder in runs)
    assert len(whole) == len(halves) == 3
    assert whole[:2] == halves[:2]  # the third begins from other states: its hand was not moved
    assert halves[2]["demonstration_weight"] == pytest.approx(0.1 * 0.95)


def test_what_is_given_comes_before_the_tasks_own(tmp_path, monkeypatch):
    monkeypatch.setattr(demonstrations, "share", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    own = tmp_path / demonstrations.REFERENCE / "valve"
    own.mkdir(parents=True)
    assert demonstrations.source("valve", "dapg", "") == str(own)
    assert demonstrations.source("valve", "dapg", "mine") == str(tmp_path / "mine")
    assert demonstrations.source("valve", "npg", "") == ""
    assert demonstrations.source("adroit_pen", "bc", "D4RL/pen/human-v2") == "D4RL/pen/human-v2"
    with pytest.raises(BadDemonstrations, match=r"flip has no demonstrations.*valve.*--demos"):
        demonstrations.source("flip", "bc", "")


def test_demonstrations_and_algorithm_must_fit():
    with pytest.raises(BadConfig, match="bc learns from demonstrations"):
        RunConfig(algorithm="bc")
    with pytest.raises(BadConfig, match="npg learns without"):
        RunConfig(demos="somewhere")


def test_a_task_without_demonstrations_is_not_cloned():
    task = make_task("pose")
    assert demonstrations.demonstrations_of(RunConfig(task.name)) == []
