"""`./handlab export` and `./handlab evaluate FILE`: in this process, and through the graph."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from handlab.experiments.evaluation import evaluate
from handlab.experiments.exporting import export_run
from handlab.graph.config import GraphConfig
from handlab_core.errors import BadConfig, BadRun
from handlab_core.system.paths import share

RUNS = share() / "src/handlab_learning/test/runs/data/runs"


@pytest.mark.parametrize("name", ["npg", "dapg", "bc", "varied"])
def test_every_kept_run_is_exported(name, tmp_path):
    path, card = export_run(RUNS / name, tmp_path / "skill.onnx")
    assert path.stat().st_size > 1000 and card["task"] == "valve"


def test_a_wrong_run_or_name_writes_nothing(tmp_path):
    with pytest.raises(BadRun, match="nothing"):
        export_run(tmp_path / "nothing", tmp_path / "skill.onnx")
    with pytest.raises(BadConfig, match=r"\.onnx"):
        export_run(RUNS / "npg", tmp_path / "skill.zip")
    assert not list(tmp_path.iterdir())


def test_a_skill_and_its_run_make_the_same_episodes(tmp_path):
    path, _ = export_run(RUNS / "varied", tmp_path / "skill.onnx")
    skill, run = evaluate(path, 3, 0), evaluate(RUNS / "varied", 3, 0)
    assert skill["mean_return"] == pytest.approx(run["mean_return"], abs=1e-6)
    assert skill["mean_final_error"] == pytest.approx(run["mean_final_error"], abs=1e-6)


def test_the_runner_of_a_graph_runs_a_skill(tmp_path):
    path, _ = export_run(RUNS / "varied", tmp_path / "skill.onnx")
    inside = evaluate(path, 2, 0)
    through = evaluate(path, 2, 0, GraphConfig())
    assert through["mean_return"] == pytest.approx(inside["mean_return"], abs=1e-3)
    assert through["policy"] == "skill"


def test_the_verbs_are_a_way_from_a_run_to_a_result(tmp_path):
    def verb(*words):
        command = [sys.executable, "-m", "handlab.cli", *words, "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    written = verb("export", str(RUNS / "varied"), "--to", "my.onnx")
    assert Path(tmp_path, written["file"]).exists()
    assert verb("evaluate", "my.onnx", "--episodes", "1")["policy"] == "skill"
