"""Runs of an algorithm that learns from all episodes: nothing is lost, whenever it is killed."""

import itertools
import logging
from datetime import datetime

import numpy as np
import pytest

from handlab_core.errors import BadRun, StationFault
from handlab_core.tasks import make_task
from handlab_learning.runs import soundness
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.trainer import Trainer

TASK = make_task("valve")
SETTINGS = {
    "hidden": [8], "batch": 16, "update_ratio": 0.5, "first_episodes": 2, "actor_every": 1,
    "own_demonstrations": 0,
}  # fmt: skip
OTHERS = {
    "local_models": {
        "episodes_per_iteration": 2, "search_iterations": 3, "prior_episodes": 4,
        "most_clusters": 2,
    },
    "mpc": {
        "random_episodes": 4, "episodes_per_fit": 2, "members": 2, "hidden": [4], "samples": 5,
        "epochs": 1,
    },
}  # fmt: skip
EACH = {"rlpd": 1, "local_models": 2, "mpc": 2}
"""Episodes of an iteration."""
ITERATIONS = 12


class Killed(Exception):  # noqa: N818  (not an error)
    """The end of a process."""


@pytest.fixture
def config(request):
    algorithm = getattr(request, "param", "rlpd")
    settings, episodes = OTHERS.get(algorithm, SETTINGS), ITERATIONS * EACH[algorithm]
    hours = episodes * 2.2 / 3600 - 1e-9  # an episode takes 12 steps of 0.1 s and 1 s of reset
    return RunConfig(
        algorithm=algorithm, max_hours=hours, evaluate_every=5, evaluation_episodes=3,
        until="hours", settings=settings,
    )  # fmt: skip


@pytest.fixture
def run(tmp_path, make_sampler, config):
    """Train; `dies`: a method of the trainer and the iteration in which the process ends there."""

    def run(name, resume=False, dies=None):
        path = tmp_path / name
        folder = RunFolder(path) if resume else RunFolder.create(path, config, datetime(2026, 1, 2))
        sampler = make_sampler(TASK, lambda a: -np.abs(a - 0.3).sum(-1))
        trainer = Trainer(config, sampler)
        if dies is not None:
            place, iteration = dies
            step = getattr(trainer, place)

            def last(*args):
                if trainer.progress.iteration == iteration:
                    raise Killed
                return step(*args)

            setattr(trainer, place, last)
            with pytest.raises(Killed):
                trainer.run(folder, resume)
        else:
            trainer.run(folder, resume)
        return folder, sampler

    return run


def figures(folder):
    clocks = ("wall_s", "learn_s", "steps_per_s")
    return [{k: v for k, v in row.items() if k not in clocks} for row in folder.metrics()]


def test_every_episode_is_in_the_log_before_it_is_learned_from(run):
    folder, _ = run("a")
    assert [e.number for e in folder.replay.read()] == list(range(ITERATIONS))
    folder, _ = run("b", dies=("_learn", 7))
    assert [e.number for e in folder.replay.read()] == list(range(8))


@pytest.mark.parametrize(
    ("config", "place", "iteration"),
    [
        *itertools.product(["rlpd"], ["_sample", "_learn", "_write"], [0, 1, 7]),
        *itertools.product(["local_models", "mpc"], ["_learn"], [1, 4]),
    ],
    indirect=["config"],
)
def test_a_killed_run_goes_on_as_if_uninterrupted(run, config, place, iteration):
    """Also from an episode that was logged but not learned from: it is not run again."""
    whole, _ = run("a")
    folder, _ = run("b", dies=(place, iteration))
    path = folder.path.relative_to(folder.path.parents[1])
    logged = {e.number for e in folder.replay.read()}
    folder, _ = run(path, resume=True)
    assert figures(folder) == figures(whole)
    one, two = whole.newest_checkpoint().state(), folder.newest_checkpoint().state()
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert tensor.equal(two[name]), name
    each = EACH[config.algorithm]
    assert [e.number for e in folder.replay.read()] == list(range(ITERATIONS * each))
    assert place != "_learn" or iteration * each in logged


def test_a_torn_or_damaged_log_costs_its_own_episodes_only(run, caplog):
    folder, _ = run("a", dies=("_learn", 7))
    path = folder.path.relative_to(folder.path.parents[1])
    data = bytearray(folder.replay.path.read_bytes())
    data[len(data) // 2] ^= 1
    folder.replay.path.write_bytes(data[:-5])
    with caplog.at_level(logging.WARNING):
        run(path, resume=True)
    assert "damaged from byte" in caplog.text and "unfinished episode" in caplog.text
    assert "1 of 7 episodes are missing" in caplog.text
    numbers = [e.number for e in folder.replay.read()]
    assert len(numbers) == ITERATIONS - 1 and sorted(set(numbers)) == numbers


def test_a_run_without_its_log_is_refused_as_it_is(run):
    folder, _ = run("a", dies=("_learn", 7))
    path = folder.path.relative_to(folder.path.parents[1])
    folder.replay.path.unlink()
    before = folder.metrics_path.read_bytes()
    with pytest.raises(BadRun, match="has none of the 7 episodes"):
        run(path, resume=True)
    assert folder.metrics_path.read_bytes() == before


def test_the_champion_is_evaluated_kept_and_handed_out(run):
    folder, _ = run("a")
    newest = folder.newest_checkpoint()
    policy = newest.policy()
    assert policy.version % 2 == 1 and newest.manifest["version"] == policy.version
    champion = newest.state()["trials.champion.net.0.weight"].numpy()
    np.testing.assert_array_equal(policy.weights[0].T.astype(np.float32), champion)
    summary = folder.summary()
    assert {"best", "last"} <= summary.keys() and summary["last"]["iteration"] == ITERATIONS


def test_an_episode_that_cannot_be_learned_from_is_left_out_and_two_more_end_the_run(
    run, monkeypatch
):
    bad = {3, 6, 7, 8}
    defect = soundness.defect

    def found(episode, terms=()):
        return "a bad number" if episode.number in bad else defect(episode, terms)

    monkeypatch.setattr(soundness, "defect", found)
    with pytest.raises(StationFault, match="1 of 1 episodes cannot be learned from, in 3"):
        run("a")
