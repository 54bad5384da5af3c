"""The bench of rollouts: its rows, and the learners that it compares."""

import pytest

from handlab.benches.learning import local_models
from handlab.benches.table import BENCHES
from handlab_core.errors import UnknownName
from handlab_learning.algorithms import ALGORITHMS

ROW = {
    "seeds": [0, 1, 2],
    "rollouts": [20, None, 15],
    "median_rollouts": 20,
    "robot_minutes": [3.0, 9.0, 2.0],
    "success_rate": [1.0, 0.5, 0.9],
}
KEPT = {"rows": {"local_models": ROW}, "update_s": 0.9, "command": "./handlab bench local_models"}


def test_every_learner_of_the_bench_is_an_algorithm():
    assert set(local_models.ROWS) <= set(ALGORITHMS)


def test_a_row_shows_all_seeds_and_those_that_never_learned():
    table = local_models.rollouts_table(KEPT)
    assert "| `local_models` | **20** (20, never, 15) | 3.0 | 100%, 50%, 90% |" in table
    cell = BENCHES["local_models"].figure.measured(KEPT)
    assert "**20** (20, never, 15)" in cell and "0.90 s" in cell


def test_a_part_without_the_own_row_has_no_figure():
    assert BENCHES["local_models"].figure.measured({"rows": {}, "update_s": 1.0}) == ""
    assert "Not measured" in local_models.rollouts_table(None)


def test_an_unknown_learner_is_refused_by_name():
    with pytest.raises(UnknownName, match=r"sac.*local_models"):
        local_models.measure(0, local_models.LearnersOptions(learners="sac"))
