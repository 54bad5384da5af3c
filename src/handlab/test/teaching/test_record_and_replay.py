"""Replays name what they cannot replay before anything is started."""

import errno
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from handlab.cli.program import make_app
from handlab.experiments import training
from handlab.graph import processes
from handlab.teaching import record_and_replay
from handlab_core.errors import BadDemonstrations, CannotWrite
from handlab_core.system.paths import share
from handlab_data.demonstration_reader import read_recording
from handlab_learning.runs.config import RunConfig

BAG = share() / "demos" / "valve"


@pytest.mark.parametrize("way", ["data", "look", "hand"])
def test_a_demonstration_that_is_not_there_is_refused_with_those_that_are(way, monkeypatch):
    monkeypatch.setattr(record_and_replay, "BackgroundGraph", None)  # would fail if it were started
    words = ["replay", str(BAG), "--on", way, "--episode", "1", "--episode", "9999"]
    result = CliRunner().invoke(make_app(), words)
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


@pytest.mark.parametrize("obstacle", ["folder", "file above", "no permission"])
def test_a_log_that_cannot_be_written_is_named_before_anything_starts(
    monkeypatch, tmp_path, obstacle
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(processes, "NodeProcess", None)  # would fail if a node were started
    if obstacle == "folder":
        Path("recordings", "replay.log").mkdir(parents=True)
    elif obstacle == "file above":
        Path("recordings").touch()
    else:  # simulated: root may write to a file that is read-only
        opened = Path.open

        def refuse(path, *words, **options):
            if path.name == "replay.log":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return opened(path, *words, **options)

        monkeypatch.setattr(Path, "open", refuse)
    result = CliRunner().invoke(make_app(), ["replay", str(BAG), "--episode", "0"])
    assert isinstance(result.exception, CannotWrite), result.exception
    message = str(result.exception)
    assert "replay.log" in message and "\n" not in message
