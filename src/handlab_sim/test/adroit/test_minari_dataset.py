"""Demonstrations from Minari datasets."""

import logging
import re

import gymnasium
import h5py
import minari
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer

from handlab_core.errors import BadDemonstrations
from handlab_core.tasks.adroit import find_task
from handlab_sim.adroit.minari_dataset import read_dataset

STEPS = 40


def buffer(number, steps=STEPS, good=30, **changed):
    """An episode of the door that is at its goal in the last steps; a value of None is omitted."""
    task, rng = find_task("adroit_door"), np.random.default_rng(number)
    values = {
        "observations": rng.normal(size=(steps + 1, task.observation_size)),
        "actions": rng.uniform(-1, 1, (steps, task.action_size)).astype(np.float32),
        "rewards": np.arange(float(steps)),
        "terminations": [False] * steps,
        "truncations": [False] * (steps - 1) + [True] * (steps > 0),
        "infos": {"success": np.arange(steps) >= steps - good},
    }
    return EpisodeBuffer(id=number, **(values | changed))


def make_dataset(monkeypatch, folder, *buffers):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder))
    task, wide = find_task("adroit_door"), np.inf
    minari.create_dataset_from_buffers(
        dataset_id="test/door-v0",
        buffer=list(buffers),
        env="AdroitHandDoor-v1",
        action_space=gymnasium.spaces.Box(-wide, wide, (task.action_size,)),
    )
    return task


@pytest.fixture
def datasets(tmp_path, monkeypatch):
    """A folder of Minari's with two episodes of the door, one cut off in its middle."""
    return make_dataset(monkeypatch, tmp_path, buffer(0), buffer(1, 30, 10))


def spoiled(name, at, value):
    """One number of a part of an episode replaced."""
    values = np.array(getattr(buffer(1), name), dtype=np.float64)
    values[at] = value
    return {name: values}


BAD_EPISODES = {
    "NaN observation": (spoiled("observations", (7, 3), np.nan), "observations have nan at step 7"),
    "infinite action": (spoiled("actions", (5, 0), np.inf), "actions have inf at step 5"),
    "absurd reward": (spoiled("rewards", 3, 1e300), r"rewards have 1e\+300 at step 3"),
    "wrong shape": ({"actions": np.zeros((STEPS, 27))}, r"actions have the shape \(40, 27\)"),
    "flat": ({"observations": np.zeros(STEPS + 1)}, r"observations have the shape \(41,\)"),
    "too few rewards": ({"rewards": np.zeros(STEPS - 1)}, "40 actions and 39 rewards"),
    "too many observations": ({"observations": np.zeros((STEPS + 3, 39))}, "it has 43 observ"),
    "information of other length": ({"infos": {"success": np.zeros(12)}}, "it has 12 rows of info"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_EPISODES)
def test_an_episode_that_cannot_be_used_is_left_out_by_name(tmp_path, monkeypatch, caplog, fault):
    changed, words = BAD_EPISODES[fault]
    task = make_dataset(monkeypatch, tmp_path, buffer(0), buffer(1, **changed))
    with caplog.at_level(logging.WARNING):
        [episode] = read_dataset("test/door-v0", task)
    assert episode.number == 0
    assert re.search(f"test/door-v0: episode 1 is omitted: .*{words}", caplog.text)


def test_an_empty_episode_and_one_that_is_missing_are_left_out_by_name(datasets, tmp_path, caplog):
    [data] = tmp_path.rglob("main_data.hdf5")
    with h5py.File(data, "a") as file:
        for name in ("actions", "rewards", "observations"):
            kept = file["episode_1"][name][: name == "observations"]
            del file["episode_1"][name]
            file["episode_1"][name] = kept
    with caplog.at_level(logging.WARNING):
        assert [episode.number for episode in read_dataset("test/door-v0", datasets)] == [0]
    assert "episode 1 is omitted: it has 1 observations, 0 actions and 0 rew" in caplog.text
    with h5py.File(data, "a") as file:
        del file["episode_1"]
    with caplog.at_level(logging.WARNING):
        assert [episode.number for episode in read_dataset("test/door-v0", datasets)] == [0]
    assert "episode 1 is omitted: it cannot be read" in caplog.text


def test_without_a_usable_episode_all_reasons_are_reported(tmp_path, monkeypatch):
    changed, _ = BAD_EPISODES["NaN observation"]
    task = make_dataset(monkeypatch, tmp_path, buffer(0, **changed), buffer(1, **changed))
    with pytest.raises(BadDemonstrations, match=r"episode 0: .*nan at step 7; episode 1: "):
        read_dataset("test/door-v0", task)


def test_actions_outside_the_range_are_clipped_and_counted(tmp_path, monkeypatch, caplog):
    changed = spoiled("actions", ([3, 3, 9], [0, 1, 5]), [-1.5, 7.0, 1.25])
    task = make_dataset(monkeypatch, tmp_path, buffer(0), buffer(1, **changed))
    with caplog.at_level(logging.WARNING):
        _, episode = read_dataset("test/door-v0", task)
    assert "2 actions outside [-1, 1] are clipped" in caplog.text
    assert (
        episode.trajectory.actions[3, 0] == -1.0
        and episode.trajectory.actions[3, 1] == episode.trajectory.actions[9, 5] == 1.0
    )


@pytest.mark.parametrize("extra", [0, 1])
def test_information_comes_with_or_without_that_of_the_reset(tmp_path, monkeypatch, extra):
    """26 steps at the goal are a success, 25 are not: a row too many or too few decides."""
    buffers = []
    for number, good in enumerate((26, 25)):
        success = np.arange(STEPS + extra) >= STEPS + extra - good
        buffers.append(buffer(number, infos={"success": success}))
    task = make_dataset(monkeypatch, tmp_path, *buffers)
    assert [episode.success for episode in read_dataset("test/door-v0", task)] == [True, False]


def test_episodes_without_information_are_read(tmp_path, monkeypatch):
    task = make_dataset(monkeypatch, tmp_path, buffer(0, infos=None))
    [episode] = read_dataset("test/door-v0", task)
    assert episode.steps == STEPS and not episode.success


def test_a_dataset_whose_files_are_missing_or_damaged_is_refused(datasets, tmp_path, monkeypatch):
    def nowhere(*_, **__):
        raise ValueError("no remote here")

    monkeypatch.setattr("minari.storage.hosting.download_dataset", nowhere)
    [data] = tmp_path.rglob("main_data.hdf5")
    whole = data.read_bytes()
    for content in (b"", b"garbage", whole[: len(whole) // 2]):
        data.write_bytes(content)
        with pytest.raises(BadDemonstrations, match="test/door-v0"):
            read_dataset("test/door-v0", datasets)
    data.unlink()
    with pytest.raises(BadDemonstrations, match="test/door-v0"):
        read_dataset("test/door-v0", datasets)
    [metadata] = tmp_path.rglob("metadata.json")
    metadata.write_text("{")
    with pytest.raises(BadDemonstrations, match="test/door-v0"):
        read_dataset("test/door-v0", datasets)


def test_a_dataset_becomes_episodes(datasets):
    one, two = read_dataset("test/door-v0", datasets)
    assert one.trajectory.observations.shape == (41, 39) and one.trajectory.actions.shape == (
        40,
        28,
    )
    assert one.success and not two.success
    np.testing.assert_array_equal(two.trajectory.rewards, np.arange(30.0))


def test_a_dataset_of_another_task_is_refused(datasets):
    with pytest.raises(BadDemonstrations, match="recorded in AdroitHandDoor-v1; adroit_pen needs"):
        read_dataset("test/door-v0", find_task("adroit_pen"))


def test_a_dataset_that_is_not_there_is_named(datasets, monkeypatch):
    def nowhere(*_, **__):
        raise ValueError("no remote here")

    monkeypatch.setattr("minari.storage.hosting.download_dataset", nowhere)
    with pytest.raises(BadDemonstrations, match=r"'test/x-v0' for adroit_door.*D4RL/door/human-v2"):
        read_dataset("test/x-v0", datasets)
