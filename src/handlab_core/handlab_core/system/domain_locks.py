"""Locks on the ROS domains of this machine: one graph has a domain, and its guests keep it taken.

A guest is a program that joins a graph of another process. One that outlives its graph would reach
the next graph in the same domain.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def take(domain: int) -> int | None:
    """Take a domain for a graph.

    Args:
        domain: ROS domain id.

    Returns:
        File descriptor that keeps the domain taken until it is closed, also by a child that
        inherits it; None: a graph or a guest of one is there.
    """
    if (graph := _locked(f"{domain}", fcntl.LOCK_EX)) is None:
        return None
    guests = _locked(f"{domain}-guests", fcntl.LOCK_EX)
    if guests is None:
        os.close(graph)
        return None
    os.close(guests)
    return graph


@contextmanager
def visiting(domain: int) -> Iterator[None]:
    """Keep a domain taken for as long as a guest is in it, whatever becomes of its graph."""
    file = None
    with suppress(OSError):  # a folder that cannot be written keeps no guest out
        file = _locked(f"{domain}-guests", fcntl.LOCK_SH)
    try:
        yield
    finally:
        if file is not None:
            os.close(file)


def _locked(name: str, kind: int) -> int | None:
    """Return the file descriptor of a locked file; None if another program has locked it."""
    folder = Path(tempfile.gettempdir()) / f"handlab-domains-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    file = os.open(folder / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file
