"""The bench of the suite, on runs of one iteration, with a learner that is a row of numbers."""

import json

import pytest

from handlab.benches.learning import adroit
from handlab.benches.learning.adroit import AdroitOptions
from handlab.benches.result import as_text
from handlab.reporting import generated_tables
from handlab_core.errors import BadConfig, UnknownName

ROW = {
    "dataset": "a/b-v0", "seed": 0, "success_rate": 0.95, "episodes": 100, "iterations": 12,
    "robot_hours": 1.3, "robot_hours_to_success": 1.1, "wall_s": 600.0, "cpu_s": 1100.0,
}  # fmt: skip

JUDGED = {"success_rate": 0.9, "strict_success_rate": 0.0}

OVER = {"object.mass": [[0.5, 1.0], [2.0, 0.4]]}


@pytest.fixture
def learned(tmp_path, monkeypatch):
    """What was asked of the learner, which always does as in `ROW`; the pen was measured before."""
    old = {"tasks": {"adroit_pen": {"dapg": ROW | {"success_rate": 0.4}, "bc": ROW}}}
    (tmp_path / "adroit.json").write_text(json.dumps(old))
    monkeypatch.setattr("handlab.benches.kept.results", lambda: tmp_path)
    asked = []

    def learn(*what):
        asked.append(what)
        return dict(ROW)

    monkeypatch.setattr(adroit, "_learn", learn)
    return asked


def test_the_chosen_part_is_measured_and_the_rest_kept(learned):
    options = AdroitOptions(
        tasks="adroit_door", methods="dapg,npg", datasets="adroit_door=some/door-v0"
    )
    result = adroit.measure(3, options)
    assert learned == [
        ("adroit_door", "dapg", "some/door-v0", 3), ("adroit_door", "npg", "some/door-v0", 3)
    ]  # fmt: skip
    assert result.value == pytest.approx(0.4 / 0.8)  # the pen is the worst
    whole = {"adroit": json.loads(as_text(result.plain())) | {"command": "x", "machine": "m"}}
    table = adroit.adroit_table(whole["adroit"])
    door = ("`adroit_door`", "90%", "**95%** [89%, 98%]", "12", "1.30", "10 (18)", "not measured")
    assert " | ".join((*door, "95% [89%, 98%]")) in table
    assert "| `adroit_pen` | 80% | **40%** [31%, 50%] |" in table and "adroit_hammer" not in table
    assert "door **95%** [89%, 98%], pen **40%** [31%, 50%]" in generated_tables.figures_table(
        whole
    )


def test_only_some_tasks_are_learned_with_many_objects(learned):
    result = adroit.measure(0, AdroitOptions(methods="dapg_varied"))
    assert [task for task, *_ in learned] == ["adroit_door", "adroit_relocate"]
    assert result.value == pytest.approx(0.4 / 0.8), "only what is learned with one object is asked"


def test_the_table_of_the_range_tells_both_policies_apart():
    door = {"dapg": ROW | {"vary": OVER}, "dapg_varied": ROW | {"vary": OVER}}
    table = adroit.robust_table({"tasks": {"adroit_door": door, "adroit_pen": {}}})
    assert table.splitlines() == [
        "| `adroit_door`, `object.mass` | 0.5 | 2 |",
        "|---|---|---|",
        "| learned with one object | 100% | 40% |",
        "| learned with many | 100% | 40% |",
    ]
    assert adroit.robust_table(None) == generated_tables.NOT_YET


def test_what_is_not_there_is_named(learned):
    with pytest.raises(UnknownName, match="sac"):
        adroit.measure(0, AdroitOptions(methods="dapg,sac"))
    with pytest.raises(BadConfig, match=r"TASK=NAME.*adroit_door"):
        adroit.measure(0, AdroitOptions(datasets="door=some/door-v0"))


def test_a_run_with_many_objects_is_judged_over_their_range(monkeypatch, tmp_path):
    seen = []
    summary = {
        "success_rate": 0.9, "evaluation_episodes": 100, "iterations": 60, "robot_hours": 6.7,
        "robot_hours_to_success": None, "wall_s": 1.0,
    }  # fmt: skip

    def train(folder, resume):
        seen.append(folder.config())
        folder.append({"iteration": 60, "robot_hours": 6.7, "evaluation": JUDGED})
        return summary

    def judge(path, variations, points, episodes, seed):
        assert (points, episodes, seed) == (5, 50, 0)
        rows = [{"value": value, "success_rate": 0.5} for value in (1.0, 2.0)]
        return {"vary": {variation.name: rows for variation in variations}}

    monkeypatch.setattr(adroit.training, "train", train)
    monkeypatch.setattr(adroit.training, "demonstrations_of", lambda config: [])
    monkeypatch.setattr(adroit, "evaluate_varied", judge)
    for method in ("dapg", "dapg_varied"):
        row = adroit._run(str(tmp_path / method), "adroit_relocate", method, "a/b-v0", 0)
        assert row["vary"]["object.scale"] == [(1.0, 0.5), (2.0, 0.5)]
    one, many = seen
    assert one.algorithm == many.algorithm == "dapg" and one.vary == []
    assert many.vary == ["object.scale=0.7:1.3", "object.mass=0.5:2"]
    row = adroit._run(str(tmp_path / "pen"), "adroit_pen", "dapg", "a/b-v0", 0)
    assert "vary" not in row


def test_a_run_of_the_bench_ends_after_its_iterations(monkeypatch, tmp_path):
    """Sixty of two hundred trajectories, not one more."""
    seen = []

    def train(folder, resume):
        config = folder.config()
        seen.append(config)
        summary = {
            "success_rate": 0.0, "evaluation_episodes": 100, "iterations": 60, "robot_hours": 6.7,
            "robot_hours_to_success": None, "wall_s": 1.0,
        }  # fmt: skip
        folder.append(
            {"iteration": 60, "robot_hours": 6.7, "evaluation": JUDGED | {"success_rate": 0.0}}
        )
        return summary

    monkeypatch.setattr(adroit.training, "train", train)
    row = adroit._run(str(tmp_path), "adroit_pen", "npg", "a/b-v0", 0)
    [config] = seen
    per_iteration = 200 * 100 * 0.01 / 3600
    assert 59 * per_iteration < config.max_hours < 60 * per_iteration
    assert config.demos == "" and config.success_rate == 0.8 and config.evaluation_episodes == 100
    assert row["success_rate"] == 0.0 and row["curve"] == [[6.7, 0.0]]
