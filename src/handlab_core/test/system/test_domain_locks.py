"""Who keeps a ROS domain taken."""

import os

import pytest

from handlab_core.system.domain_locks import take, visiting


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_one_graph_has_a_domain():
    one, other = take(3), take(4)
    assert one is not None and other is not None
    assert take(3) is None
    os.close(one)
    again = take(3)
    assert again is not None
    os.close(again)
    os.close(other)


def test_a_guest_that_outlives_its_graph_keeps_the_domain_taken():
    graph = take(3)
    assert graph is not None
    with visiting(3), visiting(3):
        os.close(graph)
        assert take(3) is None
    graph = take(3)
    assert graph is not None
    os.close(graph)


def test_a_guest_needs_no_folder(folder):
    (folder / f"handlab-domains-{os.getuid()}").touch()
    with visiting(3):
        pass
