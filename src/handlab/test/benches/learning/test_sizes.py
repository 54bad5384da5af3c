"""The bench of sizes: one short training, its judgement, table and picture."""

import json

import pytest

from handlab.benches.learning import every_seed, sizes
from handlab.benches.learning.sizes import FIXED, POINTS, VARIED
from handlab.benches.result import as_text
from handlab_core.tasks import make_task
from handlab_core.tasks.variation import parse_variations


def run_of(task, rate):
    points = {name: [rate] * len(POINTS[name]) for name in sizes.quantities(make_task(task))}
    return {"together": rate, "points": points}


def test_training_draws_from_the_range_in_which_policies_are_judged():
    for name, points in POINTS.items():
        [drawn] = parse_variations([f"{name}={sizes.DRAWN[name]}"])
        assert (min(points), max(points)) == (min(drawn.values), max(drawn.values))


@pytest.mark.parametrize("kind", [FIXED, VARIED])
def test_a_policy_is_judged_at_every_point_and_with_all_drawn(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(every_seed, "WORLDS", 4)
    monkeypatch.setattr(sizes, "AT_POINT", 2)
    monkeypatch.setattr(sizes, "TOGETHER", 2)
    monkeypatch.setattr(sizes, "POINTS", {"object.mass": (0.5, 4.0), "object.lobes": (2,)})
    run = sizes._learn(str(tmp_path), f"valve {kind} 1", 0)
    assert {name: len(rates) for name, rates in run["points"].items()} == {
        "object.mass": 2, "object.lobes": 1
    }  # fmt: skip
    assert 0.0 <= run["together"] <= 1.0
    [folder] = (tmp_path / f"valve-{kind}-0").iterdir()
    drawn = "object.lobes" in (folder / "metrics.jsonl").read_text()
    assert drawn == (kind == VARIED)


def test_a_block_has_no_lobes():
    assert "object.lobes" not in sizes.quantities(make_task("flip"))
    assert sizes.quantities(make_task("valve")) == list(POINTS)


def test_unmeasured_tasks_are_kept_and_the_worst_is_the_figure(tmp_path, monkeypatch):
    rows = {
        task: {kind: sizes._row([run_of(task, rate)]) for kind, rate in rates.items()}
        for task, rates in {"valve": {FIXED: 0.4, VARIED: 0.9}}.items()
    }
    monkeypatch.setattr(sizes, "kept", lambda bench, key: rows)
    monkeypatch.setattr(sizes, "share", lambda: tmp_path)
    learned = {"flip described 20": [run_of("flip", 0.1)], "flip varied 20": [run_of("flip", 0.7)]}
    monkeypatch.setattr(sizes, "learn_all", lambda learn, names, seeds: learned)
    result = sizes.measure(0, sizes.SizesOptions(tasks="flip", seeds=1))
    assert result.value == 0.7
    result.draw()
    assert (tmp_path / sizes.PICTURE).is_file()
    kept = json.loads(as_text(result.plain())) | {"command": "x"}
    table = sizes.sizes_table(kept)
    assert "| `valve`: varied | **90%** |" in table and "| `flip`: described | **10%** |" in table
    assert "`flip` **70%** (10% without)" in sizes._cell(kept)
