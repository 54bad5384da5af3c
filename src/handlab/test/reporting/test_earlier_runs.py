"""The robot-time meter finds earlier runs beside a run and in kept results, and only those."""

import json
from datetime import datetime
from math import inf

import pytest

from handlab.reporting import earlier_runs as module
from handlab.reporting.earlier_runs import RobotTimeMeter, earlier_runs
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.directory import RunFolder


def written(root, rates, **config):
    """A run folder with an evaluation every tenth of an hour."""
    config = {"task": "pose", "backend": "sim", "settings": {"kl": 0.04}, "streak": 2} | config
    folder = RunFolder.create(root, RunConfig(**config), datetime.now())
    for i, rate in enumerate(rates):
        folder.append(row(i, rate))
    return folder


def row(i, rate):
    evaluation = {"success_rate": rate, "strict_success_rate": rate / 2}
    return {"iteration": i, "robot_hours": i / 10, "evaluation": evaluation}


def test_only_whole_runs_of_the_same_task_algorithm_and_settings_count(tmp_path):
    folder = written(tmp_path, [])
    written(tmp_path, [0.0, 0.5, 0.9, 1.0], seed=1)
    written(tmp_path, [0.0, 0.0], seed=2)  # it was given up
    written(tmp_path, [1.0, 1.0], seed=3, settings={"kl": 0.1})
    written(tmp_path, [1.0, 1.0], seed=4, task="valve")
    written(tmp_path, [1.0, 1.0], seed=5).metrics_path.write_text("no metrics\n")
    found = sorted(earlier_runs(folder, "success"), key=lambda run: run.ended)
    assert [(run.reached, run.ended) for run in found] == [(None, 0.1), (0.2, 0.3)]
    assert [run.known for run in found] == [inf, 0.3]


def test_kept_results_count_where_the_settings_are_the_algorithms_own(tmp_path):
    plain = RunConfig("valve", algorithm="npg", backend="sim")
    runs = earlier_runs(RunFolder.create(tmp_path, plain, datetime.now()), "success")
    assert len(runs) >= 5 and all(run.reached is None or run.reached > 0.5 for run in runs)
    changed = RunConfig("valve", algorithm="npg", backend="sim", settings={"kl": 0.1})
    assert not earlier_runs(RunFolder.create(tmp_path / "b", changed, datetime.now()), "success")


def test_results_in_minutes_are_read_by_the_strict_criterion(monkeypatch, tmp_path):
    (tmp_path / "results").mkdir()
    curves = [[[0.1, 0.0], [0.2, 0.9], [0.3, 0.9], [0.4, 0.9]], [[0.1, 0.0]]]
    rows = {
        "valve": {
            "task": "valve", "start": "nothing", "given_up_after": 30.0, "seeds": [0, 1],
            "robot_minutes": [12.0, None], "curves": curves,
        }
    }  # fmt: skip
    (tmp_path / "results" / "minutes.json").write_text(json.dumps({"rows": rows}))
    monkeypatch.setattr(module, "share", lambda: tmp_path)
    reached, never = module._runs(*next(module._rows("valve"))[:2], "strict")
    assert (reached.reached, reached.known) == (pytest.approx(0.2), pytest.approx(0.4))
    assert never.reached is None and never.ended == 0.1
    assert not list(module._runs(*next(module._rows("valve"))[:2], "success"))


def test_the_meter_says_how_much_is_left_and_then_nothing(tmp_path):
    for seed in (1, 2, 3):
        written(tmp_path, [0.0] * (2 + seed) + [1.0, 1.0], seed=seed)
    meter = RobotTimeMeter(written(tmp_path, [0.0, 0.0], until="success"))
    assert meter.text == (
        "robot time to success: 12 min to 24 min more, median 18 min (50% interval, 3 earlier runs)"
    )
    meter.update(row(2, 1.0))
    meter.update(row(3, 1.0))
    assert meter.text == "" and meter.estimate is None


def test_without_an_earlier_run_the_meter_knows_nothing(tmp_path):
    assert "unknown yet" in RobotTimeMeter(written(tmp_path, [0.0])).text
