"""The base policy of a run: where it may come from, what is refused, and its copy in the run."""

import json
import shutil
from datetime import datetime

import numpy as np
import pytest

from handlab_core.demonstrations.gait import gait_file
from handlab_core.environment.policies.pose_cycle_policy import PoseCyclePolicy
from handlab_core.errors import HandlabError
from handlab_core.tasks import make_task
from handlab_learning.models.squashed_actor import SquashedActor
from handlab_learning.policy_files.base_policy import base_of, read_base
from handlab_learning.runs import checkpoint
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder


def config(base, task="valve"):
    return RunConfig(task=task, algorithm="residual", base=str(base))


def save(folder, task_name):
    """A run with one checkpoint of another task."""
    task = make_task(task_name)
    policy = SquashedActor(task.spaces, (4,)).to_numpy(1.0, 2)
    checkpoint.save(folder / "checkpoints", 0, task, policy, {}, {})
    return policy


def test_a_policy_of_another_task_with_the_same_observation_is_a_base(tmp_path):
    policy = save(tmp_path / "run", "valve_foam")
    read = read_base(config(tmp_path / "run"))
    for name, tensor in policy.tensors().items():
        np.testing.assert_array_equal(read.tensors()[name], tensor)
    read_base(config(tmp_path / "run" / "checkpoints" / "000000.json"))


@pytest.mark.parametrize("base", ["gait", str(gait_file(make_task("valve_foam")))])
def test_a_gait_is_a_base_by_name_or_file(base):
    policy, task = read_base(config(base)), make_task("valve")
    assert isinstance(policy, PoseCyclePolicy)
    seconds = policy.durations.sum() * task.period
    assert 1.0 < seconds < 10.0 and policy.error == task.spaces.fingers.error


@pytest.mark.parametrize(
    ("task", "of", "message"),
    [
        ("valve", "allegro_valve", "moves hand allegro, task valve has hand claw"),
        ("valve", "pose", "reads the observation"),
        ("pose", "gait", "task pose has no object that a gait could turn"),
        ("allegro_valve", "gait", "--base gait: .*unknown gait for the task"),
        ("valve", "/nowhere", "no checkpoint at /nowhere"),
    ],
)
def test_a_base_that_does_not_fit_is_refused_in_one_line(tmp_path, task, of, message):
    if of in ("allegro_valve", "pose"):
        save(tmp_path / "run", of)
        of = tmp_path / "run"
    with pytest.raises(HandlabError, match=message) as refusal:
        read_base(config(of, task))
    assert "\n" not in str(refusal.value)


def test_a_gait_of_another_hand_is_refused(tmp_path):
    facts = json.loads(gait_file(make_task("valve")).read_text())
    facts["joints"][0] = "thumb"
    path = tmp_path / "gait.json"
    path.write_text(json.dumps(facts))
    with pytest.raises(HandlabError, match="is a gait of thumb"):
        read_base(config(path))


def test_a_run_keeps_its_base_when_the_original_is_gone(tmp_path):
    policy = save(tmp_path / "original", "valve")
    folder = RunFolder.create(
        tmp_path / "runs", config(tmp_path / "original"), datetime(2026, 1, 1)
    )
    base_of(folder.config(), folder)
    shutil.rmtree(tmp_path / "original")
    again = base_of(folder.config(), folder)
    for name, tensor in policy.tensors().items():
        np.testing.assert_array_equal(again.tensors()[name], tensor)


def test_only_algorithms_that_correct_have_a_base():
    assert read_base(RunConfig()) is None
    with pytest.raises(HandlabError, match="rlpd learns without a base policy: leave --base"):
        RunConfig(algorithm="rlpd", base="x")
    with pytest.raises(HandlabError, match="residual corrects a base policy: name a run"):
        RunConfig(algorithm="residual")
