"""Replays name what they cannot replay before anything is started."""

import pytest
from typer.testing import CliRunner

from handlab import recording
from handlab.cli import app
from handlab_core.errors import BadDemonstrations
from handlab_core.paths import share

BAG = share() / "demos" / "valve"


@pytest.mark.parametrize("way", ["data", "look", "hand"])
def test_a_demonstration_that_is_not_there_is_refused_with_those_that_are(way, monkeypatch):
    monkeypatch.setattr(recording, "BackgroundGraph", None)  # would fail if it were started
    words = ["replay", str(BAG), "--on", way, "--episode", "1", "--episode", "9999"]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, BadDemonstrations)
    assert "no demonstration 9999, only 0, 1, 2," in str(result.exception)


def test_only_the_demonstrations_that_were_asked_for_are_shown():
    figures = recording.as_data(BAG, "valve", [3, 1])
    assert [row["episode"] for row in figures["episodes"]] == [3, 1]
