"""Replays name what they cannot replay before anything is started."""

import pytest
from typer.testing import CliRunner

from handlab.cli.program import app
from handlab.experiments import training
from handlab.teaching import record_and_replay
from handlab_core.errors import BadDemonstrations
from handlab_core.system.paths import share
from handlab_data.demonstration_reader import read_recording
from handlab_learning.runs.config import RunConfig

BAG = share() / "demos" / "valve"


@pytest.mark.parametrize("way", ["data", "look", "hand"])
def test_a_demonstration_that_is_not_there_is_refused_with_those_that_are(way, monkeypatch):
    monkeypatch.setattr(record_and_replay, "BackgroundGraph", None)  # would fail if it were started
    words = ["replay", str(BAG), "--on", way, "--episode", "1", "--episode", "9999"]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, BadDemonstrations)
    assert "no demonstration 9999, only 0, 1, 2," in str(result.exception)


def test_only_the_demonstrations_that_were_asked_for_are_shown():
    figures = record_and_replay.as_data(read_recording(BAG), [3, 1])
    assert [row["episode"] for row in figures["episodes"]] == [3, 1]


def test_a_run_whose_demonstrations_cannot_be_used_leaves_no_folder(tmp_path):
    config = RunConfig("flip", algorithm="bc", demos=str(BAG))
    with pytest.raises(BadDemonstrations, match="its task is valve, not flip"):
        training.new_run(config, tmp_path / "runs")
    assert not list(tmp_path.iterdir())
