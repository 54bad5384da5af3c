"""List of the graphs that run on this machine, so that another program finds them.

Every graph that `handlab.graph.processes` starts writes one file. A file of a process that is gone
counts for nothing and is removed.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import psutil
from pydantic import Field

from handlab_core.errors import BadConfig
from handlab_core.system.files import read_json, write_atomically, writing
from handlab_core.system.validation import Index, Text, build, checked

MOST_PID = 2**22
"""Largest number of a process; Linux, PID_MAX_LIMIT."""


@checked
class RunningGraph:
    """One graph of this machine."""

    pid: Annotated[Index, Field(le=MOST_PID)]
    """Process that started it."""
    began: float
    """s; time of day at which that process began: the kernel reuses numbers."""
    domain: Index
    """ROS domain id."""
    words: str
    """Command line of the process."""
    nodes: tuple[str, ...]
    task: Text = ""
    hardware: Text = ""
    port: Text = ""
    station: Text = ""

    def __str__(self) -> str:
        return f"{self.words} (process {self.pid}, ROS_DOMAIN_ID={self.domain})"


def folder() -> Path:
    """Return the folder of the files of this user's graphs."""
    return Path(tempfile.gettempdir()) / f"handlab-graphs-{os.getuid()}"


def announced(domain: int, nodes: Iterable[str], facts: Mapping[str, Any]) -> Path:
    """Write the file of a graph of this process; return its path.

    Args:
        domain: ROS domain id.
        nodes: names of all nodes.
        facts: parameters of the driver; empty: the graph has none.

    Raises:
        CannotWrite: the folder of the files cannot be written.
    """
    process = psutil.Process()
    graph = RunningGraph(
        process.pid,
        process.create_time(),
        domain,
        _words(process),
        tuple(nodes),
        **{name: str(facts.get(name, "")) for name in ("task", "hardware", "port", "station")},
    )
    path = folder() / f"{domain}-{process.pid}.json"
    with writing(path.parent):
        path.parent.mkdir(exist_ok=True)
    write_atomically(path, json.dumps(asdict(graph)))
    return path


def running_graphs() -> list[RunningGraph]:
    """Return the graphs of this user that run, oldest first."""
    found = []
    for path in sorted(folder().glob("*.json")):
        try:
            graph = build(RunningGraph, read_json(path), str(path))
        except BadConfig:
            continue  # just being removed, damaged, or of another version
        if _lives(graph):
            found.append(graph)
        else:
            path.unlink(missing_ok=True)
    return sorted(found, key=lambda graph: graph.began)


def chosen_graph(domain: int | None, port: str = "") -> RunningGraph | None:
    """Return the graph that a user means.

    Args:
        domain: ROS domain id; None: the only graph there is.
        port: the graph must drive this port; empty: any.

    Raises:
        BadConfig: there are several.
    """
    found = [graph for graph in running_graphs() if domain in (None, graph.domain)]
    if port:
        real = os.path.realpath(port)
        found = [graph for graph in found if graph.port and os.path.realpath(graph.port) == real]
    if len(found) > 1:
        raise BadConfig(f"several graphs run: name one by --domain: {'; '.join(map(str, found))}")
    return found[0] if found else None


def _lives(graph: RunningGraph) -> bool:
    with suppress(psutil.Error):
        return bool(abs(psutil.Process(graph.pid).create_time() - graph.began) < 1.0)
    return False


def _words(process: psutil.Process) -> str:
    """Return the command line of a process as its user typed it, if it is a verb."""
    words = process.cmdline()
    if "handlab.cli" in words:
        return " ".join(["./handlab", *words[words.index("handlab.cli") + 1 :]])
    return " ".join(words)[:100]
