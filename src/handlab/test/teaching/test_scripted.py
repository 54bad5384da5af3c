"""The scripted teacher in this process: what it shows, and that a policy could have done it."""

import json
import shutil

import numpy as np
import pytest
import typer

from handlab.cli.program import make_app
from handlab.teaching import gait_search
from handlab.teaching.scripted import demonstrate
from handlab_core.demonstrations.gait import gait_file, load_gait
from handlab_core.demonstrations.recording import to_episode
from handlab_core.demonstrations.scripted_teacher import TeacherConfig
from handlab_core.errors import HandlabError
from handlab_core.tasks import make_task

TAUGHT = ("flip", "pose", "valve")


@pytest.fixture(params=TAUGHT)
def task(request):
    return make_task(request.param)


def episodes(task, teacher_config=None, seed=0, count=8, num_envs=8):
    motions = demonstrate(
        task, teacher_config or TeacherConfig(noise=0.02), seed, range(count), num_envs
    )
    return [to_episode(motion, task) for motion in motions]


def test_a_demonstration_is_an_episode_that_ends_at_the_goal_and_stays(task):
    for episode in episodes(task):
        assert episode.outcome.strict_success and np.abs(episode.trajectory.errors[-6:]).max() < 0.1
        assert episode.trajectory.observations.shape == (task.steps + 1, task.observation_size)
        assert episode.trajectory.actions.shape == (task.steps, task.hand.n)
        assert np.abs(episode.trajectory.actions).max() <= 1.0
        np.testing.assert_array_equal(
            episode.trajectory.observations[1:, -task.hand.n :], episode.trajectory.actions
        )
        assert not episode.trajectory.observations[0, -task.hand.n :].any()


def test_demonstrations_differ_and_repeat(task):
    one, again = episodes(task, count=2), episodes(task, count=2, num_envs=1)
    assert np.abs(one[0].trajectory.actions - one[1].trajectory.actions).max() > 0.01
    np.testing.assert_array_equal(one[0].trajectory.observations, again[0].trajectory.observations)
    other = episodes(task, seed=1, count=1)
    assert np.abs(one[0].trajectory.actions - other[0].trajectory.actions).max() > 0.01


def test_a_teacher_can_be_slow_and_break_off(task):
    def moving(demonstrations):
        return np.mean([(np.abs(e.trajectory.errors) > 0.1).sum() for e in demonstrations])

    less = 2 if task.name == "pose" else 3  # a pose is not far
    slow, usual = episodes(task, TeacherConfig(speed=0.7), count=3), episodes(task, count=3)
    assert moving(slow) > moving(usual) + less
    broken = episodes(task, TeacherConfig(failures=0.5), count=16)
    verdicts = [e.outcome.strict_success if task.name == "pose" else e.success for e in broken]
    assert 3 <= verdicts.count(False) <= 13


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["record", "valve", "--teacher", "script", "--hardware", "dynamixel"], "a person leads a"),
        (["record", "valve", "--teacher", "robot"], "unknown teacher 'robot'; there is: person"),
        (["record", "valve", "--teacher", "person", "--pace", "lockstep"], "cannot be waited for"),
        (["record", "valve", "--speed", "0"], "it must be greater than 0"),
        (["replay", "nowhere"], "nowhere does not exist; name the folder of a bag"),
        (["replay", "nowhere", "--on", "mars"], "there is: data, hand, look"),
    ],
)
def test_what_cannot_be_recorded_or_replayed_is_told(words, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((HandlabError, typer.BadParameter), match=message):
        make_app()(words, standalone_mode=False)


def test_a_search_keeps_its_gait_and_where_it_began(monkeypatch, tmp_path):
    task, kept = make_task("valve"), tmp_path / "valve.json"
    shutil.copy(gait_file(task), kept)
    before = json.loads(kept.read_text())["source"]
    monkeypatch.setattr(gait_search, "gait_file", lambda task: tmp_path / f"{task.name}.json")
    words = ["gait", "valve", "--start", "valve", "--generations", "2"]
    words += ["--output", str(tmp_path / "found.json")]
    monkeypatch.setattr("sys.argv", ["handlab", *words])
    own = kept.read_text()
    make_app()(words, standalone_mode=False)
    assert kept.read_text() == own
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["source"]["command"].startswith("./handlab gait valve --start valve")
    assert found["source"]["begun"] == before
    poses, start = np.array(found["poses"]), load_gait(task).poses
    assert poses.shape == start.shape
    assert 1e-3 < np.abs(poses - start).max() < 0.5  # it has moved, and not far
