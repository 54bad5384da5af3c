"""The bench of robot-minutes: what counts as missed."""

import pytest

from handlab.benches.learning.minutes import KEEPING, ROWS, ratio


def row(minutes, last=1.0, best=1.0):
    known = sorted(m for m in minutes if m is not None)
    return {
        "robot_minutes": minutes, "median_robot_minutes": known[len(minutes) // 2],
        "last_strict_success_rate": [1.0, last], "best_strict_success_rate": [1.0, best],
    }  # fmt: skip


def test_the_worst_of_median_slowest_seed_and_loss_counts():
    asked = ROWS["valve"]  # 10 and 20 min
    assert ratio(asked, row([1.0, 9.0, 9.5])) == pytest.approx(KEEPING)
    assert ratio(asked, row([1.0, 9.8, 30.0])) == pytest.approx(1.5)
    assert ratio(asked, row([1.0, 11.0, 11.0])) == pytest.approx(1.1)
    assert ratio(asked, row([1.0, 2.0, None])) == float("inf")


def test_a_run_that_loses_what_it_had_learned_misses_the_limit():
    asked = ROWS["valve"]
    assert ratio(asked, row([1.0, 1.0, 1.0], last=0.9, best=0.9)) == pytest.approx(KEEPING)
    assert ratio(asked, row([1.0, 1.0, 1.0], last=0.9, best=1.0)) > 1.0
    assert ratio(asked, row([1.0, 1.0, 1.0], last=0.0, best=0.0)) == float("inf")
