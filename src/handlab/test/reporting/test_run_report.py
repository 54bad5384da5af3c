"""A report is drawn whatever names and keys a run folder has."""

import pytest

from handlab.reporting import run_report
from handlab_core.errors import BadRun
from handlab_core.system.validation import build
from handlab_learning.runs.directory import MetricsRow

SUMMARY = {
    "task": "valve", "algorithm": "npg", "seed": 0, "robot_hours_to_success": 0.1,
    "robot_hours_to_strict_success": None, "robot_hours": 0.2, "wall_s": 60.0,
    "success_rate": 1.0, "strict_success_rate": 0.5, "evaluation_episodes": 30,
    "run_dir": "runs/a b", "iterations": 2, "backend": "sim",
}  # fmt: skip


def row(**more):
    rates = {"success_rate": 0.5, "strict_success_rate": 0.1} | more
    return {"iteration": 0, "robot_hours": 0.1, "mean_return": -1.0, "evaluation": rates}


@pytest.mark.parametrize("more", [{}, {"success_rate_low": 0.2}, {"success_rate_high": 0.7}])
def test_half_an_interval_is_not_drawn(tmp_path, more):
    run_report.plot([row(**more), row()], SUMMARY, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 0


@pytest.mark.parametrize("name", ["$\\frac$", "a_b^", "<script>alert(1)</script>", "100%"])
def test_a_name_is_text_and_never_a_formula_or_markup(tmp_path, name):
    summary = SUMMARY | {"algorithm": name}
    run_report.plot([row()], summary, tmp_path / "curve.png")
    page = run_report._page(summary, "config", tmp_path / "curve.png", None, "no EGL")
    assert "<script>" not in page
    assert "./handlab report &#x27;runs/a b&#x27;" in page


def test_a_rate_of_interventions_is_a_number_between_0_and_1():
    for rate in ("often", float("nan"), 1.5):
        with pytest.raises(BadRun, match="intervention_rate"):
            build(MetricsRow, row() | {"intervention_rate": rate}, "metrics.jsonl", BadRun)
