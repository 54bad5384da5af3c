"""A process that was stopped is noticed by the others of its graph, its supervisor too."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from handlab_core.system import lifeline, standstill
from handlab_core.system.standstill import SETTLE, Settled, StandstillBoard, StandstillReader

LATE = SETTLE + 2 * standstill.LOOK_EVERY


@contextmanager
def sleeper():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def stopped(process):
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    yield
    process.send_signal(signal.SIGCONT)
    os.waitid(os.P_PID, process.pid, os.WCONTINUED)


def after(seconds, look):
    """Look several times, as a node does; return the last answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        names = look()
        time.sleep(0.02)
    return names


def test_a_stop_counts_once_it_has_lasted():
    settled = Settled()
    assert settled.update(["a"], 0.0) == []
    assert settled.update(["a", "b"], SETTLE) == ["a"]
    assert settled.update([], SETTLE + 0.1) == []
    assert settled.update(["a"], 2 * SETTLE) == []  # another stop


def test_a_stopped_supervisor_is_named_until_it_goes_on():
    with sleeper() as above:
        reader = StandstillReader({lifeline.VARIABLE: str(above.pid)})
        assert reader.look() == []
        with stopped(above):
            [name] = after(LATE, reader.look)
            assert str(above.pid) in name
        assert after(LATE, reader.look) == []


def test_a_stopped_node_is_named_to_the_others_and_not_to_itself(monkeypatch):
    board = StandstillBoard()
    with sleeper() as node:
        reader = StandstillReader(board.environment())

        def look():
            board.look({"learner": node.pid, "runner": os.getpid()})
            return reader.look()

        with stopped(node):
            assert after(LATE, look) == ["learner"]
            monkeypatch.setattr(os, "getpid", lambda: node.pid)
            assert after(LATE, reader.look) == []
        monkeypatch.undo()
        assert after(LATE, look) == []
    board.close()


@pytest.mark.parametrize("board", ["", "none", "9999"])
def test_a_node_without_a_board_goes_on(board):
    reader = StandstillReader({standstill.VARIABLE: board})
    assert reader.look() == []


def test_a_process_that_is_gone_does_not_stand_still():
    with sleeper() as process:
        pass
    assert not standstill.is_stopped(process.pid)
