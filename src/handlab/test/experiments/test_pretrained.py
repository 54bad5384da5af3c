"""The reference policies that come along: each file is whole, small, and does its task."""

import json
import subprocess
import sys

import pytest

from handlab.benches.learning.pretrained import ROWS
from handlab.experiments.evaluation import evaluate
from handlab.experiments.pretrained import policies_folder, pretrained
from handlab_core.errors import UnknownName
from handlab_core.tasks import make_task
from handlab_learning.policy_files.skill_file import card_of, differences, load_skill

FILES = sorted(policies_folder().glob("*.onnx"))
MOST_BYTES = 2_000_000
"""Of all files together: they are part of every checkout."""


def test_the_valve_comes_along_and_all_files_are_small_and_can_be_learned_again():
    tasks = {file.stem for file in FILES}
    assert "valve" in tasks and tasks <= set(ROWS)
    assert sum(file.stat().st_size for file in FILES) < MOST_BYTES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_reference_policy_fits_its_task_and_succeeds(file):
    skill, task = load_skill(file), make_task(file.stem)  # load_skill checks the checksum
    assert not differences(skill.manifest, card_of(task))
    assert skill.manifest["success_rate"] >= 0.9 and skill.manifest["algorithm"] == "rlpd"
    assert evaluate(file, 5, 1)["success_rate"] >= 0.8


def test_a_task_without_a_policy_is_refused_with_those_that_have_one():
    with pytest.raises(UnknownName, match="valve"):
        pretrained("nothing")


def _demo(folder, *words):
    command = [sys.executable, "-m", "handlab.cli", "demo", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_the_demo_shows_a_policy_through_the_graph_with_a_video(tmp_path):
    done = _demo(tmp_path, "--pretrained", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["policy"] == "skill" and result["success_rate"] >= 0.8
    assert (tmp_path / "valve_pretrained.mp4").stat().st_size > 10_000
    assert not (tmp_path / "runs").exists()  # nothing was learned


@pytest.mark.parametrize("words", [("--pretrained", "--post"), ("pose",)])
def test_the_demo_refuses_what_it_does_not_do(words, tmp_path):
    done = _demo(tmp_path, *words)
    assert done.returncode != 0 and "--pretrained" in done.stderr
    assert "Traceback" not in done.stderr
