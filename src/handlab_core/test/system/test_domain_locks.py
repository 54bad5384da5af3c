"""Programs that keep a ROS domain taken."""

import os

import pytest

from handlab_core.errors import CannotWrite
from handlab_core.system import domain_locks
from handlab_core.system.domain_locks import share, take, visiting


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(domain_locks, "ROOT", tmp_path)
    return tmp_path


def user(monkeypatch, number):
    """Go on as another user of this machine."""
    monkeypatch.setattr(domain_locks.os, "getuid", lambda: number)


def test_one_graph_has_a_domain():
    one, other = take(3), take(4)
    assert one is not None and other is not None
    assert take(3) is None
    os.close(one)
    again = take(3)
    assert again is not None
    os.close(again)
    os.close(other)


def test_shells_with_folders_of_their_own_for_scratch_files_share_the_domains(monkeypatch):
    graph = take(3)
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setattr("tempfile.tempdir", None)
    assert take(3) is None
    os.close(graph)


def test_a_domain_of_another_user_is_taken(monkeypatch):
    user(monkeypatch, 1)
    graph = take(3)
    user(monkeypatch, 2)
    assert take(3) is None
    with visiting(4):
        user(monkeypatch, 1)
        assert take(4) is None
    os.close(graph)
    user(monkeypatch, 2)
    own = take(3)
    assert own is not None
    os.close(own)


def test_locks_that_another_user_does_not_show_take_no_domain(monkeypatch, folder):
    (folder / "handlab-domains-1").touch()
    user(monkeypatch, 2)
    own = take(3)
    assert own is not None
    os.close(own)


def test_a_guest_that_outlives_its_graph_keeps_the_domain_taken():
    graph = take(3)
    assert graph is not None
    with visiting(3), visiting(3):
        os.close(graph)
        assert take(3) is None
    graph = take(3)
    assert graph is not None
    os.close(graph)


def test_a_domain_that_is_shared_stays_taken_until_the_last_one_leaves():
    graph, second = take(3), share(3)
    os.close(graph)
    assert take(3) is None
    os.close(second)
    graph = take(3)
    assert graph is not None
    os.close(graph)


def test_a_guest_needs_no_folder(folder):
    (folder / f"handlab-domains-{os.getuid()}").touch()
    with visiting(3):
        pass
    assert share(3) is None
    with pytest.raises(CannotWrite, match="handlab-domains"):
        take(3)
