"""A run that an earlier version wrote on 2026-11-27 is evaluated, compared and resumed."""

import json
import shutil
from pathlib import Path

import pytest

from handlab.experiments import training
from handlab.experiments.evaluation import evaluate
from handlab.reporting import compare
from handlab_core.system.paths import share
from handlab_learning.runs.directory import RunFolder

WRITTEN = share() / "src/handlab_learning/test/runs/data/runs/varied"


@pytest.fixture
def folder(tmp_path):
    return RunFolder(Path(shutil.copytree(WRITTEN, tmp_path / "run")))


def test_the_policy_of_an_old_run_acts(folder):
    verdict = evaluate(folder.path, 2, seed=0)
    written = json.loads((WRITTEN / "summary.json").read_text())["best"]
    assert verdict["iteration"] == written["iteration"] == 4
    assert verdict["success_rate"] == written["success_rate"]


def test_an_old_run_is_compared(folder):
    [figures] = compare.compare([folder.path], None)["groups"].values()
    assert figures["seeds"] == [3] and figures["best_success_rate"] == [0.0]


def test_an_old_run_goes_on(folder):
    text = folder.config_path.read_text()
    longer = text.replace("max_hours: 0.03", "max_hours: 0.04")
    folder.config_path.write_text(
        longer.replace("evaluation_episodes: 30", "evaluation_episodes: 2")
    )
    summary = training.train(folder, resume=True, num_envs=2)
    assert summary["iterations"] > 4
    old = [json.loads(line) for line in (WRITTEN / "metrics.jsonl").read_text().splitlines()]
    assert folder.metrics()[: len(old)] == old
