"""Progress of a training where there is no terminal: a line per evaluation."""

from types import SimpleNamespace

from handlab.reporting.progress import TrainingDisplay
from handlab_learning.runs.config import RunConfig


def test_the_estimate_of_the_robot_time_is_printed_when_it_changes(capsys):
    meter = SimpleNamespace(text="unknown yet", update=lambda row: None)
    display = TrainingDisplay(RunConfig(backend="sim"), meter)
    evaluation = {"success_rate": 0.5, "strict_success_rate": 0.0, "mean_return": 1.0}
    for iteration, text in enumerate(["unknown yet", "unknown yet", "12 min more", ""]):
        meter.text = text
        display.update({"iteration": iteration, "robot_hours": 0.1, "evaluation": evaluation})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and all("iteration" in line for line in lines)
    said = [next((t for t in ("unknown yet", "12 min more") if t in line), "") for line in lines]
    assert said == ["unknown yet", "", "12 min more", ""]
