"""A run folder that is damaged in any way is refused by name, and nothing in it changes."""

import json
import shutil
from datetime import datetime

import pytest
import torch
from safetensors import torch as safetensors

from handlab_core.errors import BadRun, HandlabError
from handlab_learning.runs import checkpoint
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.trainer import Trainer

SMALL = {"hidden": [6], "episodes_per_iteration": 3, "baseline.hidden": [8]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, make_sampler):
    config = RunConfig(
        max_hours=0.01, evaluate_every=2, evaluation_episodes=4, until="hours", settings=SMALL
    )
    folder = RunFolder.create(tmp_path_factory.mktemp("run"), config, datetime(2026, 1, 2))
    Trainer(config, make_sampler(config.make_task())).run(folder)
    return folder


@pytest.fixture
def run(whole, tmp_path):
    """A copy that a test may damage."""
    return RunFolder(shutil.copytree(whole.path, tmp_path / "run"))


@pytest.fixture
def resume(make_sampler):
    def resume(folder):
        sampler = make_sampler(RunConfig().make_task())
        Trainer(folder.config(), sampler).run(folder, resume=True)

    return resume


def newest(run, suffix):
    return sorted(run.checkpoints.glob(f"*{suffix}"))[-1]


def with_tensor(run, name, change):
    path = newest(run, ".safetensors")
    tensors = safetensors.load_file(path)
    tensors[name] = change(tensors[name])
    safetensors.save_file(tensors, path)


def with_manifest(run, **changes):
    path = newest(run, ".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def filled(value):
    return lambda tensor: torch.full_like(tensor, value)


POLICIES = {
    "NaN": ("act.weight_0", filled(float("nan")), "weight_0 of the policy .* holds nan"),
    "inf": ("act.bias_1", filled(float("inf")), "bias_1 of the policy .* holds inf"),
    "huge": ("act.weight_1", filled(1e300), "weight_1 .* holds 1e.300"),
    "int8": ("act.weight_0", lambda t: t.to(torch.int8), "weight_0 .* int8 .* must be float64"),
    "bfloat16": ("act.shift", lambda t: t.to(torch.bfloat16), "shift .* bfloat16"),
    "transposed": ("act.weight_0", lambda t: t.T.contiguous(), "weight_0 .* has shape"),
    "scalar": ("act.log_std", lambda t: t[0].clone(), "log_std .* has shape"),
    "empty": ("act.bias_0", lambda t: t[:0].clone(), "weight_0 .* has shape .* needs"),
    "no unit": ("act.scale", filled(0.0), "scale .* holds 0.0"),
    "a negative unit": ("act.scale", filled(-1.0), "scale .* holds -1.0"),
}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_that_cannot_act_is_refused_by_the_tensors_name(run, name):
    tensor, change, words = POLICIES[name]
    with_tensor(run, tensor, change)
    with pytest.raises(BadRun, match=words) as refusal:
        checkpoint.load(newest(run, ".json")).policy()
    assert "\n" not in str(refusal.value)


STATES = {
    "NaN": ("learn.policy.mean.0.weight", filled(float("nan")), "policy.mean.0.weight .* finite"),
    "int8": ("learn.policy.mean.0.weight", lambda t: t.to(torch.int8), "int8 of shape"),
    "transposed": ("learn.baseline.net.0.weight", lambda t: t.T.contiguous(), "need float64 of"),
    "a moment": ("learn.baseline.adam.0.exp_avg", lambda t: t.T.contiguous(), "exp_avg of Adam"),
    "the memory": ("learn.baseline.memory.0.features", lambda t: t[:, 1:].clone(), "memory 0"),
    "the order": ("learn.baseline.order", lambda t: t[:5].clone(), "uint8 of shape"),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_cannot_be_gone_on_from_is_refused_by_the_tensors_name(run, resume, name):
    tensor, change, words = STATES[name]
    with_tensor(run, tensor, change)
    refused(run, resume, words)


def refused(run, resume, words=""):
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    with pytest.raises(HandlabError, match=words) as refusal:
        resume(run)
    assert "\n" not in str(refusal.value)
    assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before


MANIFESTS = {
    "a negative iteration": ({"iteration": -3}, "iteration is -3"),
    "a text": ({"iteration": "9"}, "iteration is '9'"),
    "a foreign format": ({"format": 2}, "format is 2"),
    "a foreign task": ({"task": "x", "reward": "x"}, ""),
    "no progress": ({"progress": []}, "progress is .*keys and values"),
    "a negative progress": ({"progress": {"iteration": -3}}, "iteration is -3"),
    "another progress": ({"progress": {"iteration": 7000}}, "of iteration 7000"),
    "NaN hours": ({"progress": {"reset_s": float("nan")}}, "reset_s is nan"),
    "a foreign key": ({"progress": {"colour": 1}}, "unknown key colour"),
    "a streak of text": ({"progress": {"success": "good"}}, "success is 'good'"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_that_cannot_be_is_refused_and_no_metrics_are_lost(run, resume, name):
    changes, words = MANIFESTS[name]
    with_manifest(run, **changes)
    if name == "a foreign task":
        with pytest.raises(BadRun, match="unknown task 'x'"):
            checkpoint.load(newest(run, ".json")).task()
    else:
        refused(run, resume, words)


CONTENTS = {
    "not UTF-8": b"\xff\xfe\x00",
    "empty": b"",
    "deep": b"[" * 100_000,
    "a list": b"[1, 2]",
    "a number": b"3",
    "many digits": b'{"iteration": ' + b"9" * 5000 + b"}\n\n",
    "cut off": b'{"iteration": 1, "robot_ho',
    "NULs": b"\0" * 100,
    "an alias": b"a: &a [*a]\n",
}
FILES = ("config.yaml", "metrics.jsonl", "summary.json", "checkpoints/*.json",
         "checkpoints/*.safetensors")  # fmt: skip


def read_all(folder, resume):
    """Read a folder as every verb does that is given one."""
    for read in (
        folder.config, folder.metrics, folder.summary,
        lambda: checkpoint.load(newest(folder, ".json")).policy(), lambda: resume(folder),
    ):  # fmt: skip
        try:
            read()
        except HandlabError as error:
            assert "\n" not in str(error)
            yield error


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", FILES)
def test_a_file_of_other_content_is_refused_with_one_line(run, resume, name, content):
    for path in sorted(run.path.glob(name)):
        path.write_bytes(CONTENTS[content] + b"\n")
    assert list(read_all(run, resume))


@pytest.mark.parametrize("name", FILES)
def test_a_folder_for_a_file_is_refused_with_one_line(run, resume, name):
    for path in sorted(run.path.glob(name)):
        path.unlink()
        path.mkdir()
    assert list(read_all(run, resume))


ROWS = (
    {"iteration": "x"},
    {"iteration": -1},
    {"robot_hours": None},
    {"evaluation": 3},
    {"evaluation": {"success_rate": 7}},
    {"temperatures": "hot"},
    {"mean_return": []},
)


@pytest.mark.parametrize("wrong", ROWS, ids=str)
def test_a_row_of_metrics_that_cannot_be_is_refused_by_its_line(run, wrong):
    rows = run.metrics()
    rows[1] |= wrong
    run.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(BadRun, match=r"metrics.jsonl line 2: .*"):
        run.metrics()


SUMMARIES = ({"success_rate": "x"}, {"robot_hours_to_success": "never"}, {"wall_s": float("nan")},
             {"seed": -1}, {"evaluation_episodes": None}, {"task": 3})  # fmt: skip


@pytest.mark.parametrize("wrong", SUMMARIES, ids=str)
def test_a_summary_that_cannot_be_is_refused(run, wrong):
    run.summary_path.write_text(json.dumps(run.summary() | wrong))
    with pytest.raises(BadRun, match=f"summary.json: .*{next(iter(wrong))}"):
        run.summary()


def test_a_folder_that_is_not_there_is_not_advised_to_be_resumed(tmp_path):
    with pytest.raises(BadRun, match="there is no run folder") as refusal:
        RunFolder(tmp_path / "nowhere").summary()
    assert "--resume" not in str(refusal.value)
    with pytest.raises(BadRun, match="not a run folder"):
        RunFolder(tmp_path).summary()
