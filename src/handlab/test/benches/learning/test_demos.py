"""The bench of demonstrations, on runs of half a minute of robot time."""

import json
from dataclasses import replace

import pytest

from handlab.benches.learning import demos
from handlab.benches.result import as_text


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Two variants of one task; what was measured before: `flip`, three times too slowly."""
    old = {"median_robot_hours_to_strict_success": 1.8, "algorithm": "dapg"}
    old |= {"robot_hours_to_strict_success": [1.8, None, 0.9], "strict_success_rate": [1, 0, 1]}
    (tmp_path / "demos.json").write_text(json.dumps({"tasks": {"flip": {"dapg": old}}}))
    monkeypatch.setattr("handlab.benches.kept.results", lambda: tmp_path)
    monkeypatch.setattr(demos, "SEEDS", 2)
    monkeypatch.setenv("HANDLAB_PROCESSES", "1")
    for name, settings in (("dapg_1", {"cloning.epochs": 1}), ("scratch", {})):
        short = replace(demos.VARIANTS[name], give_up=0.005, settings=settings)
        monkeypatch.setitem(demos.VARIANTS, name, short)


def test_the_chosen_part_is_measured_and_the_rest_kept(small):
    result = demos.measure(4, demos.DemosOptions(tasks="valve", variants="dapg_1,scratch"))
    rows = result.details["tasks"]
    assert list(rows) == ["valve", "flip"] and list(rows["valve"]) == ["dapg_1", "scratch"]
    one, nothing = rows["valve"]["dapg_1"], rows["valve"]["scratch"]
    assert one["seeds"] == [4, 5] and one["demonstrated_success_rate"] == [1.0, 1.0]
    assert 6.0 < one["demonstrated_s"][0] < 10.0 and nothing["demonstrated_s"] == [0, 0]
    assert one["robot_hours_to_strict_success"] == [None, None]
    assert result.value == pytest.approx(1.8 / demos.LIMITS["flip"])
    whole = json.loads(as_text(result.plain())) | {"command": "x", "machine": "m"}
    table = demos.demos_table(whole)
    assert "| cloning, then DAPG |  |  | **1.80 h** (1.80 h, never, 0.90 h) | 67% |" in table
    assert "| DAPG, 1 demonstration | **never** (never, never) | 0% |" in table
    assert "from nothing" in table and "cloning alone" not in table


def test_times_faster_than_from_nothing():
    """Given up after nine hours stands for nine; half an hour is eighteen times less."""

    def row(hours):
        return {"median_robot_hours_to_strict_success": hours}

    rows = {
        "valve": {"dapg": row(0.5), "scratch": row(4.0)},
        "flip": {"dapg": row(0.5), "scratch": row(None)},
        "other": {"dapg": row(None), "scratch": row(1.0)},
    }
    assert demos.speedups(rows) == {"valve": 8.0, "flip": 18.0}


def test_every_variant_has_a_name_in_the_table():
    assert set(demos.WAYS) == set(demos.VARIANTS)
