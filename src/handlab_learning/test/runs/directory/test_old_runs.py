"""Run folders written by earlier versions load, and their runs go on as if uninterrupted.

`npg`, `dapg` and `bc` in `data/runs` were interrupted at their newest checkpoint.
`uninterrupted.jsonl` holds the rows that the version that wrote the folder computed when it ran on
without an interruption. `varied` is a whole run with variations, from the command line.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_learning.runs import checkpoint
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.trainer import Trainer

RUNS = Path(__file__).parents[1] / "data" / "runs"
CLOCKS = ("wall_s", "learn_s", "steps_per_s")
STEPS = 6


def reward(action):
    return -np.square(action - 0.3).sum(-1)


def demonstrations(episodes_of, task):
    n, o = task.hand.n, task.observation_size
    constant = np.full(n, -1.0), np.zeros(o), np.ones(o)
    teacher = GaussianPolicy((np.full((o, n), 0.01),), (np.zeros(n),), *constant, 0)
    rng = np.random.default_rng(1)
    return episodes_of(task, teacher, rng, reward, count=2, steps=STEPS)


@pytest.mark.parametrize("name", ["npg", "dapg", "bc"])
def test_an_old_run_goes_on_as_if_uninterrupted(name, tmp_path, episodes_of, make_sampler):
    path = tmp_path / name
    shutil.copytree(RUNS / name, path)
    folder = RunFolder(path)
    task = folder.config().make_task()
    shown = demonstrations(episodes_of, task) if folder.config().demos else []
    trainer = Trainer(
        folder.config(), make_sampler(task, reward, steps=STEPS), demonstrations=shown
    )
    trainer.run(folder, resume=True)
    expected = [
        json.loads(line) for line in (path / "uninterrupted.jsonl").read_text().split("\n")[:-1]
    ]
    for row, old in zip(folder.metrics(), expected, strict=True):
        present = flat(row)  # with figures that were not yet known then
        known = {name: present.get(name) for name in flat(old)}
        assert known == pytest.approx(flat(old), rel=1e-9, nan_ok=True)


def flat(row, prefix=""):
    """Return the numbers of a row but its clocks, by path."""
    numbers = {}
    for name, value in row.items():
        if isinstance(value, dict):
            numbers |= flat(value, f"{prefix}{name}/")
        elif name not in CLOCKS and not isinstance(value, str):
            numbers[prefix + name] = value
    return numbers


def test_the_settings_of_an_old_run_load():
    assert RunFolder(RUNS / "varied").config() == RunConfig(
        task="valve", reward="bonus", algorithm="npg", backend="sim", estimator="encoder", seed=3,
        max_hours=0.03, vary=["object.mass=0.8:1.2"],
        settings={"hidden": [4], "episodes_per_iteration": 2, "baseline.memory": 1,
                  "baseline.hidden": [4]},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["npg", "dapg", "bc", "varied"])
def test_the_policies_of_an_old_run_act(name):
    for policy in checkpoint.POLICIES:
        saved = checkpoint.load(RUNS / name, policy)
        task = saved.task()
        action = saved.policy(task).act(np.zeros((1, task.observation_size)))
        assert action.shape == (1, task.hand.n)
