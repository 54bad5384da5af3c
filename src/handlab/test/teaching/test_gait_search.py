"""A search for a gait keeps the one that a task has, unless it is asked to and finds a better."""

import json
import shutil

import numpy as np
import pytest

from handlab.teaching import gait_search
from handlab.teaching.gait_search import GaitSearch, search_gait
from handlab.teaching.search_config import SearchConfig
from handlab_core.demonstrations import gait
from handlab_core.demonstrations.gait import load_gait
from handlab_core.errors import BadConfig, CannotWrite
from handlab_core.tasks import make_task

TASK = make_task("valve")
SMALL = SearchConfig(poses=4, population=4, generations=1)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The task's own gait, in a copy of config/gaits."""
    copy = tmp_path / "own" / "valve.json"
    copy.parent.mkdir()
    shutil.copy(gait.gait_file(TASK), copy)
    for module in (gait, gait_search):
        monkeypatch.setattr(module, "gait_file", lambda task: copy)
    return copy


@pytest.fixture
def quick(monkeypatch):
    """Nothing is simulated: what is found has the cost 1, the task's own another."""
    costs, poses = {}, load_gait(TASK).poses
    monkeypatch.setattr(GaitSearch, "costs", lambda self, numbers, _: numbers[:, 0] ** 2)

    def cost(self, judged):
        return costs["own"] if np.array_equal(judged.poses, poses) else 1.0

    monkeypatch.setattr(GaitSearch, "cost", cost)
    return costs


def search(output, keep=False, config=SMALL, task=TASK):
    return search_gait(task, config, output, keep, ["./handlab", "gait"], None, lambda *_: None)


@pytest.mark.parametrize(
    ("keep", "own_cost", "replaced"),
    [(False, 2.0, False), (True, 0.5, False), (True, 1.0, False), (True, 2.0, True)],
)
def test_only_a_better_gait_replaces_the_tasks_own_if_asked_to(
    own, quick, tmp_path, keep, own_cost, replaced
):
    quick["own"], before = own_cost, own.read_bytes()
    output = tmp_path / "gaits" / "new.json"
    found = search(output, keep)
    assert (found.cost, found.own_cost, found.kept) == (1.0, own_cost, replaced)
    assert json.loads(output.read_text())["source"]["generations"] == 1
    assert own.read_bytes() == (output.read_bytes() if replaced else before)


def test_a_task_without_a_gait_gets_the_first_only_if_asked_to(own, quick, tmp_path):
    own.unlink()
    quick["own"] = 2.0
    found = search(tmp_path / "one.json")
    assert found.own_cost is None and not own.exists()
    assert search(tmp_path / "two.json", keep=True).kept and own.exists()


def test_what_cannot_be_searched_or_written_is_refused_before_the_search(own, quick, tmp_path):
    before = own.read_bytes()
    with pytest.raises(BadConfig, match="exists; choose another"):
        search(own, True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CannotWrite, match="cannot write"):
        search(tmp_path / "file" / "x.json")
    assert own.read_bytes() == before and not (tmp_path / "x.json").exists()


def test_both_gaits_are_measured_as_the_search_measures():
    """But for poses at the end of the range, which have no number."""
    own = load_gait(TASK)
    search = GaitSearch(TASK, SearchConfig(poses=len(own.poses), population=4, generations=1))
    numbers = np.tile(gait_search._numbers(TASK.hand, own), (4, 1))
    found = search.gaits(numbers)
    one = gait.Gait(found.poses[0], found.rate[0], found.braking[0])
    assert search.cost(one) == pytest.approx(search.costs(numbers, 1).mean(), rel=1e-3)
