"""Correcting a gait: through the graph as in one process, resumed, and as one file."""

import json
import shutil

import numpy as np
import pytest

from handlab.experiments import evaluation, training
from handlab_learning.runs import checkpoint
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder

SETTINGS = {
    "hidden": [8], "batch": 16, "update_ratio": 0.2, "first_episodes": 1, "critic_warm_up": 3,
    "actor_every": 1,
}  # fmt: skip
EPISODE = 6.0 / 3600  # h, without reset


def small_run(root, base="gait", **changes):
    settings = {"max_hours": 3 * EPISODE, "evaluate_every": 2, "evaluation_episodes": 1,
                "until": "hours"}  # fmt: skip
    config = RunConfig(
        algorithm="residual", base=str(base), settings=SETTINGS, **(settings | changes)
    )
    return training.new_run(config, root)


@pytest.fixture(scope="module")
def in_process(tmp_path_factory):
    folder = small_run(tmp_path_factory.mktemp("residual"), backend="sim")
    return folder, training.train(folder, resume=False, num_envs=1, threads=1)


def tensors(folder):
    return checkpoint.load(folder.path, "last").policy().tensors()


@pytest.mark.timeout(300)
def test_graph_and_process_correct_a_gait_the_same_bit_for_bit(in_process, tmp_path):
    folder, summary = in_process
    through = small_run(tmp_path)
    again = training.train(through, resume=False)
    ours, theirs = tensors(folder), tensors(through)
    assert set(ours) == set(theirs) and "base.cycle_poses" in ours
    for name, tensor in ours.items():
        np.testing.assert_array_equal(tensor, theirs[name])
    for name in ("robot_hours", "mean_return", "experience_s", "reset_s"):
        assert summary[name] == again[name], name


def test_the_policy_that_is_handed_out_needs_neither_base_nor_run(in_process, tmp_path):
    folder, _ = in_process
    shutil.copytree(folder.best, tmp_path / "alone")
    [manifest] = checkpoint.manifests(tmp_path / "alone")
    alone = evaluation.evaluate(manifest, 1, 5, num_envs=1, threads=1)
    whole = evaluation.evaluate(folder.path, 1, 5, num_envs=1, threads=1)
    assert alone["mean_return"] == whole["mean_return"]


def test_a_correction_is_a_base_of_the_next_run(in_process, tmp_path):
    folder, _ = in_process
    second = small_run(tmp_path, folder.path, backend="sim", max_hours=EPISODE)
    training.train(second, resume=False, num_envs=1, threads=1)
    assert "base.base.cycle_poses" in tensors(second)


def test_a_run_is_resumed_when_its_base_is_gone(in_process, tmp_path):
    folder, _ = in_process
    base = tmp_path / "base"
    shutil.copytree(folder.path, base)
    run = small_run(tmp_path, base, backend="sim", max_hours=EPISODE)
    training.train(run, resume=False, num_envs=1, threads=1)
    shutil.rmtree(base)
    run.summary_path.unlink()
    text = run.config_path.read_text().replace(f"max_hours: {EPISODE}", f"max_hours: {3 * EPISODE}")
    run.config_path.write_text(text)
    longer = RunFolder(run.path)
    training.train(longer, resume=True, num_envs=1, threads=1)
    assert [row["iteration"] for row in longer.metrics()] == [0, 1, 2, 3][: len(longer.metrics())]
    assert len(longer.metrics()) > 2


def test_a_base_that_does_not_fit_is_refused_before_there_is_a_folder(tmp_path, cli):
    words = ["train", "pose", "--algorithm", "residual", "--base", "gait", "--backend", "sim"]
    process = cli(*words, cwd=tmp_path)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0 and "no object that a gait could turn" in said
    assert "Traceback" not in said and not (tmp_path / "runs").exists()
    process = cli("train", "valve", "--algorithm", "residual", "--json", cwd=tmp_path)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0 and "with --base" in said
    assert not json.dumps(said).count("Traceback")
