"""The bench of learning in real pace: what it makes of its runs, and a run that starts no graph."""

import subprocess
import sys

import pytest

from handlab.benches.running import real_pace
from handlab_core.errors import StationFault


def run_of(seed, minutes):
    return {"seed": seed, "robot_minutes": minutes, "strict_success_rate": 1.0, "driver_ms": 0.3,
            "bare_ms": 0.2}  # fmt: skip


@pytest.mark.parametrize(
    ("minutes", "ratio"), [((4.0, 6.0, 5.0), 1.25), ((None, None, 5.0), float("inf"))]
)
def test_the_median_is_compared_with_that_of_lockstep(monkeypatch, minutes, ratio):
    monkeypatch.setattr(real_pace, "_learn", lambda seed: run_of(seed, minutes[seed]))
    rows = {"valve": {"median_robot_minutes": 4.0}}
    monkeypatch.setattr(real_pace, "kept", lambda name, part: rows)
    result = real_pace.measure(0, real_pace.RealPaceOptions(seeds=3))
    assert result.value == ratio
    assert result.details["period_error_ratio"] == pytest.approx(1.5)


def test_a_run_without_a_graph_is_named():
    with subprocess.Popen([sys.executable, "-c", ""]) as verb:
        verb.wait()
        with pytest.raises(StationFault, match="no graph of the run appeared"):
            real_pace._domain(verb)
