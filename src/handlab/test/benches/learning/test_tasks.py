"""The bench of every task, on runs of half a minute of robot time."""

import json

import pytest

from handlab.benches.learning import tasks
from handlab.benches.options import TasksOptions
from handlab.benches.result import as_text
from handlab_core.errors import UnknownName
from handlab_core.tasks import TASKS


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder of results that has a task that is not measured now, and one that is no more."""
    row = {"asked": 3.5, "median_robot_hours_to_success": 7.0, "curves": [[[1.0, 0.5]]]}
    old = {"tasks": {"valve": row, "no_such_task": row}}
    (tmp_path / "tasks.json").write_text(json.dumps(old))
    monkeypatch.setattr("handlab.benches.kept.results", lambda: tmp_path)
    monkeypatch.setattr(tasks, "share", lambda: tmp_path)
    return tmp_path


def test_only_the_chosen_tasks_are_measured_and_the_others_kept(kept, monkeypatch):
    monkeypatch.setattr(tasks, "SEEDS", 2)
    monkeypatch.setitem(tasks.ASKED, "pose", tasks.Asked(1.0, give_up=0.005))
    result = tasks.measure(4, TasksOptions(tasks="pose"))
    rows = result.details["tasks"]
    assert list(rows) == [name for name in TASKS if name in ("valve", "pose")]
    assert rows["pose"]["seeds"] == [4, 5] and len(rows["pose"]["curves"]) == 2
    assert rows["pose"]["median_robot_hours_to_success"] is None
    assert result.value == float("inf")  # what was never learned is over every limit
    result.draw()
    assert (kept / tasks.PICTURE).is_file()
    rows["valve"] |= {
        "hand": "claw", "description": "", "post": "", "robot_hours_to_success": [7.0],
        "median_robot_hours_to_strict_success": None,
    }  # fmt: skip
    table = tasks.tasks_table(json.loads(as_text(result.plain())) | {"command": "x"})
    assert "| `pose` | claw |" in table and "**never** (never, never)" in table


def test_a_task_that_is_not_there_is_named(kept, monkeypatch):
    with pytest.raises(UnknownName, match="poze"):
        tasks.measure(0, TasksOptions(tasks="pose,poze"))
