"""The graphs of this machine are found by other programs, and those that are gone are not."""

import json
import os
import subprocess
import sys

import pytest

from handlab.graph import running_graphs
from handlab.graph.running_graphs import announced, chosen_graph
from handlab_core.errors import BadConfig, CannotWrite

FACTS = {"task": "valve", "hardware": "dynamixel", "port": "/dev/ttyUSB0"}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(running_graphs.tempfile, "gettempdir", lambda: str(tmp_path))


def test_a_graph_is_found_until_its_file_is_removed():
    path = announced(7, ["driver", "runner"], FACTS)
    graph = chosen_graph(None)
    assert (graph.domain, graph.pid, graph.port) == (7, os.getpid(), "/dev/ttyUSB0")
    assert graph.nodes == ("driver", "runner")
    assert chosen_graph(7) == graph and chosen_graph(8) is None
    path.unlink()
    assert chosen_graph(None) is None


def test_a_graph_is_found_by_any_name_of_its_port(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    announced(7, ["driver"], FACTS | {"port": str(link)})
    assert chosen_graph(None, "/dev/null") is not None
    assert chosen_graph(None, "/dev/ttyUSB1") is None


def test_of_several_graphs_the_user_names_one():
    announced(7, ["driver"], FACTS)
    announced(8, ["driver"], FACTS | {"port": "/dev/ttyUSB1"})
    with pytest.raises(BadConfig, match="--domain"):
        chosen_graph(None)
    assert chosen_graph(8).port == "/dev/ttyUSB1"
    assert chosen_graph(None, "/dev/ttyUSB0").domain == 7


def test_a_graph_whose_process_is_gone_is_forgotten(tmp_path):
    path = announced(7, ["driver"], FACTS)
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    values = json.loads(path.read_text())
    for change in ({"pid": process.pid}, {"began": values["began"] - 100.0}):
        path.write_text(json.dumps(values | change))
        assert chosen_graph(None) is None and not path.exists()


DAMAGE = (
    "", "{", "[]", "3", "null", "[" * 5000, "9" * 5000, {"pid": "x"}, {"pid": -1}, {"pid": [1]},
    {"pid": 10**30}, {"began": None}, {"began": "x"}, {"began": float("nan")}, {"domain": {}},
    {"nodes": 3}, {"nodes": [1]}, {"port": 3}, {"port": "\0"}, {"words": None}, {"more": 1},
)  # fmt: skip


@pytest.mark.parametrize("change", DAMAGE, ids=lambda change: str(change)[:20])
def test_a_damaged_file_hides_no_other_graph(change, tmp_path):
    announced(7, ["driver"], FACTS)
    damaged = announced(8, ["driver"], FACTS | {"port": "/dev/ttyUSB1"})
    if isinstance(change, dict):
        change = json.dumps(json.loads(damaged.read_text()) | change)
    damaged.write_text(change)
    assert chosen_graph(None).domain == 7
    assert chosen_graph(None, "/dev/ttyUSB0").domain == 7
    damaged.unlink()
    damaged.mkdir()
    assert chosen_graph(None).domain == 7


def test_a_file_in_the_way_of_the_folder_is_named():
    running_graphs.folder().touch()
    assert chosen_graph(None) is None
    with pytest.raises(CannotWrite, match=str(running_graphs.folder())):
        announced(7, ["driver"], FACTS)
