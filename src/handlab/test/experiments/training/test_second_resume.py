"""A run that another process writes is refused before anything starts."""

import subprocess
import sys

import pytest

from handlab.experiments import training
from handlab_core.errors import RunInUse
from handlab_learning.runs.config import RunConfig

HOLD = """
import sys, time
from pathlib import Path
from handlab_learning.runs.directory import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_second_resume_starts_no_graph_and_writes_no_log(tmp_path, monkeypatch):
    def start(*_):
        raise AssertionError("a graph was started, which opens the hand's port")

    monkeypatch.setattr(training, "BackgroundGraph", start)
    folder = training.new_run(RunConfig(), tmp_path)
    command = [sys.executable, "-c", HOLD, str(folder.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "locked\n"
            with pytest.raises(RunInUse, match=f"by process {other.pid} "):
                training.train(folder, resume=True)
        finally:
            other.kill()
    assert not (folder.path / training.NODE_LOG).exists()
    with pytest.raises(AssertionError, match="a graph was started"):
        training.train(folder, resume=True)
