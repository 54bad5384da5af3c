"""The bench of rollouts: its rows, and the learners that it compares."""

import json

import pytest

from handlab.benches import kept, result
from handlab.benches.learning import local_models
from handlab.benches.table import BENCHES
from handlab_core.errors import UnknownName
from handlab_core.tasks import make_task
from handlab_core.tasks.adroit import find_task as make_adroit
from handlab_learning.algorithms import ALGORITHMS

ROW = {
    "seeds": [0, 1, 2],
    "rollouts": [20, None, 15],
    "median_rollouts": 20,
    "robot_minutes": [3.0, 9.0, 2.0],
    "success_rate": [1.0, 0.5, 0.9],
}
KEPT = {
    "rows": {"local_models": ROW},
    "update": {"s": 0.9},
    "command": "./handlab bench local_models",
}


def test_every_learner_of_the_bench_is_an_algorithm():
    assert set(local_models.ROWS) <= set(ALGORITHMS)
    assert [row.algorithm for row in local_models.ROWS.values()] == list(local_models.ROWS)


def test_every_task_of_the_soft_hand_is_learned_by_local_models_within_fifteen_iterations():
    for name, row in local_models.SOFT.items():
        assert make_task(name).hand_name == "soft"
        assert (row.task, row.algorithm, row.give_up) == (name, "local_models", 15 * 5)


def test_turns_in_the_adroit_hand_are_learned_by_local_models_within_twelve_iterations():
    for name, row in local_models.TURNS.items():
        assert make_adroit(name).hand_name == "adroit"
        assert (row.task, row.algorithm, row.give_up) == (name, "local_models", 12 * 5)
    assert BENCHES["local_models"].parts == ("rows", local_models.PARTS)


def test_an_update_is_timed_as_a_part(monkeypatch, tmp_path):
    """The learners stay as they were."""
    monkeypatch.setattr(result, "results", lambda: tmp_path)
    monkeypatch.setattr(kept, "results", lambda: tmp_path)
    (tmp_path / "local_models.json").write_text(json.dumps(KEPT))
    monkeypatch.setattr(local_models, "update_seconds", lambda seed: 1.5)
    found = local_models.measure(0, local_models.LearnersOptions(rows="update"))
    assert found.details["update"]["s"] == 1.5 and found.details["rows"] == KEPT["rows"]
    assert "1.50 s" in BENCHES["local_models"].figure.measured(found.plain())


def test_tasks_of_the_soft_hand_are_measured_beside_kept_learners(monkeypatch, tmp_path):
    """Only the chosen tasks are learned; the rows of the learners stay as they were."""
    monkeypatch.setattr(result, "results", lambda: tmp_path)
    monkeypatch.setattr(kept, "results", lambda: tmp_path)
    (tmp_path / "local_models.json").write_text(json.dumps(KEPT))
    run = {"rollouts": 10, "success_rate": 1.0, "robot_minutes": 1.0, "wall_s": 1.0}

    def learn_all(learn, names, seeds, workers):
        assert names == ["soft_bead", "adroit_turn_pen"]
        return {name: [run | {"seed": seed} for seed in seeds] for name in names}

    monkeypatch.setattr(local_models, "learn_all", learn_all)
    rows = "soft_bead,adroit_turn_pen"
    found = local_models.measure(0, local_models.LearnersOptions(rows=rows, seeds=2))
    assert found.details["rows"] == KEPT["rows"] and found.value == 20
    table = local_models.soft_table(found.plain())
    assert "| `soft_bead` | **10** (10, 10) | 1.0 | 100%, 100% |" in table
    assert "bench local_models --rows soft_bead --write" in table
    assert "| `adroit_turn_pen` | **10** (10, 10)" in local_models.turns_table(found.plain())
    assert found.details["update"] == KEPT["update"]


def test_a_row_shows_all_seeds_and_those_that_never_learned():
    table = local_models.rollouts_table(KEPT)
    assert "| `local_models` | **20** (20, never, 15) | 3.0 | 100%, 50%, 90% |" in table
    cell = BENCHES["local_models"].figure.measured(KEPT)
    assert "**20** (20, never, 15)" in cell and "0.90 s" in cell


def test_a_part_without_the_own_row_has_no_figure():
    assert BENCHES["local_models"].figure.measured({"rows": {}, "update": {"s": 1.0}}) == ""
    assert "Not measured" in local_models.rollouts_table(None)
    assert "Not measured" in local_models.soft_table(KEPT)
    assert "Not measured" in local_models.turns_table(KEPT)


def test_an_unknown_learner_is_refused_by_name():
    with pytest.raises(UnknownName, match=r"sac.*local_models"):
        local_models.measure(0, local_models.LearnersOptions(rows="sac"))
    with pytest.raises(UnknownName, match=r"soft_pen.*soft_bead"):
        local_models.measure(0, local_models.LearnersOptions(rows="soft_pen"))
