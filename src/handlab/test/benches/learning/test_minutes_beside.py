"""Other learners beside ours: robot time counts steps and resets, and the best setting counts."""

import pytest

from handlab.benches.learning import minutes_beside
from handlab.benches.learning.minutes_beside import SETTINGS, _learn, _row, beside_table


@pytest.mark.timeout(120)
def test_another_learner_ends_at_the_limit_of_robot_time(monkeypatch):
    """Three episodes of six seconds, a placement of ten, and resets of a second or two."""
    judges = []

    class Watched(minutes_beside.Judge):
        def __init__(self, *words):
            super().__init__(*words)
            judges.append(self)

    monkeypatch.setattr(minutes_beside, "Judge", Watched)
    monkeypatch.setattr(minutes_beside, "EVERY", 2)
    monkeypatch.setitem(minutes_beside.TASKS, "valve", 0.45)
    run = _learn("valve", "", "sac scaled", 0)
    assert run["robot_minutes"] is None and run["success_rate"] == 0.0
    [judge] = judges
    assert judge._episodes == 3 and 27.0 < judge._robot_s < 40.0
    assert judge.strict.length == 0


def test_the_best_setting_counts_and_never_stands_for_the_limit():
    def runs(*minutes):
        return [{"robot_minutes": m, "success_rate": 0.0, "wall_s": 1.0} for m in minutes]

    measured = {"defaults": runs(None, None), "scaled": runs(25.0, 24.0), "smooth": runs(None, 9.0)}
    row = _row("valve", "sac", measured, {"median_robot_minutes": 5.0})
    assert row["best"] == "scaled" and row["ratio"] == pytest.approx(24.5 / 5.0)
    table = beside_table({"rows": {"valve sac": row}, "command": "c"})
    assert f"| `valve` | SAC | {SETTINGS['scaled'].what} | 25.0, 24.0 | 4.9 |" in table
    assert "never in 30, 9.0 |  |" in table
    nothing = _row("valve", "sac", {name: runs(None) for name in SETTINGS}, None)
    assert nothing["ratio"] is None
