"""A skill in a file: what it says, what it refuses, and that nobody has changed it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from handlab_core.errors import BadConfig, BadRun, LayoutMismatch
from handlab_core.tasks import make_task
from handlab_learning.policy_files import saved_policy
from handlab_learning.policy_files.skill_file import (
    CARD,
    CHECKSUM,
    ZEROS,
    card_of,
    checksum,
    differences,
    export,
    load_skill,
)
from handlab_learning.runs import checkpoint

RUN = Path(__file__).parents[1] / "runs" / "data" / "runs" / "varied"
SUMMARY = json.loads((RUN / "summary.json").read_text())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "skill.onnx"
    export(checkpoint.load(RUN), path, SUMMARY)
    return path


def rewritten(file, change):
    """The file with a changed card, and with the right checksum."""
    model = onnx.load(file)
    for entry in model.metadata_props:
        if entry.key == CARD:
            entry.value = json.dumps(json.loads(entry.value) | change)
        if entry.key == CHECKSUM:
            entry.value = ZEROS
    content = model.SerializeToString()
    file.write_bytes(content.replace(ZEROS.encode(), checksum(content).encode(), 1))
    return file


def test_the_card_says_what_a_user_must_know(file):
    card = load_skill(file).manifest
    assert (card["task"], card["hand"], card["rate"]) == ("valve", "claw", 10.0)
    assert card["robot_hours"] == SUMMARY["robot_hours"] and card["seed"] == SUMMARY["seed"]
    assert [card[f"success_rate{end}"] for end in ("", "_low", "_high")] == [
        SUMMARY[f"success_rate{end}"] for end in ("", "_low", "_high")
    ]
    assert card["limits"]["max_rate"] == make_task("valve").hand.max_rate.tolist()
    assert card["exported_by"]


def test_a_skill_is_loaded_as_a_run_is_and_acts_the_same(file):
    run, skill = saved_policy.load(RUN), saved_policy.load(file)
    task = run.task()
    assert skill.task().name == task.name and skill.named()["policy"] == "skill"
    observation = np.random.default_rng(0).normal(size=(4, task.spaces.observation))
    np.testing.assert_allclose(
        skill.policy().act(observation), run.policy(task).act(observation), rtol=0, atol=1e-6
    )
    with pytest.raises(BadConfig, match="leave --policy"):
        saved_policy.load(file, "best")


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9, 0.999])
def test_a_changed_byte_is_noticed(file, place):
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(BadRun):
        load_skill(file)


def test_a_truncated_or_foreign_file_is_refused(file, tmp_path):
    foreign = tmp_path / "foreign.onnx"
    model = onnx.load(file)
    del model.metadata_props[:]
    onnx.save(model, foreign)
    with pytest.raises(BadRun, match="no card of handlab"):
        load_skill(foreign)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(BadRun):
        load_skill(file)
    with pytest.raises(BadRun, match=r"none\.onnx"):
        load_skill(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hand": "allegro"}, "for the hand allegro, and runs on claw"),
        ({"rate": 20.0}, r"for the rate 20\.0 Hz, and runs on 10\.0 Hz"),
        ({"limits": {"upper": [1.0]}}, "its limits `upper`"),
        ({"layout": "[]"}, "for the layout"),
        ({"smoothing": 0.5}, "for the smoothing 0.5"),
    ],
)
def test_a_skill_of_another_hand_or_rate_is_refused_with_the_difference(file, change, words):
    with pytest.raises(LayoutMismatch, match=words) as refusal:
        load_skill(rewritten(file, change)).policy()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"task": "none"}, "none"), ({"format": 9}, "format"), ({"version": -1}, "version")],
)
def test_a_card_that_cannot_be_read_is_refused(file, change, words):
    with pytest.raises(BadRun, match=words):
        load_skill(rewritten(file, change)).task()


def test_a_skill_of_another_task_is_refused(file):
    with pytest.raises(LayoutMismatch, match="for the task valve, and runs on pose"):
        load_skill(file).policy(make_task("pose"))
    other = card_of(replace(make_task("valve"), period=0.05))
    assert differences(card_of(make_task("valve")), other) == [
        "it was made for the rate 10.0 Hz, and runs on 20.0 Hz"
    ]
    assert not differences(card_of(make_task("valve").with_reward("robel")), other | {"rate": 10.0})
