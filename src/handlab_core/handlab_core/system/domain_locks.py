"""Locks on the ROS domains of this machine: one graph has a domain, and its guests keep it taken.

A guest is a program that joins a graph of another process. One that outlives its graph would reach
the next graph in the same domain.

The locks of a user are files of that user. Those of other users count, too: DDS reaches all
programs of the machine.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from handlab_core.system.files import writing

ROOT = Path("/tmp")
"""Folder of the folders of all users' locks; not TMPDIR, since shells that differ in it share the
domains."""


def take(domain: int) -> int | None:
    """Take a domain for a graph.

    Args:
        domain: ROS domain id.

    Returns:
        File descriptor that keeps the domain taken until it is closed, also by a child that
        inherits it; None: a graph or a guest of one is there.

    Raises:
        CannotWrite: the folder of the locks cannot be written.
    """
    with writing(_folder()):
        graph = _locked(f"{domain}", fcntl.LOCK_EX)
        if graph is None:
            return None
        guests = _locked(f"{domain}-guests", fcntl.LOCK_EX)
    if guests is None or _others_have(domain):
        os.close(graph)
        graph = None
    if guests is not None:
        os.close(guests)
    return graph


def share(domain: int) -> int | None:
    """Keep a domain taken that a user has chosen, whoever has it.

    Returns:
        File descriptor, as of `take`; None: the folder of the locks cannot be written.
    """
    with suppress(OSError):
        return _locked(f"{domain}-guests", fcntl.LOCK_SH)
    return None


@contextmanager
def visiting(domain: int) -> Iterator[None]:
    """Keep a domain taken for as long as a guest is in it, whatever becomes of its graph."""
    file = share(domain)
    try:
        yield
    finally:
        if file is not None:
            os.close(file)


def _folder() -> Path:
    return ROOT / f"handlab-domains-{os.getuid()}"


def _locked(name: str, kind: int) -> int | None:
    """Return the file descriptor of a locked file; None if another program has locked it."""
    _folder().mkdir(exist_ok=True)
    return _lock(os.open(_folder() / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC), kind)


def _lock(file: int, kind: int) -> int | None:
    """Lock an open file and return it; close it and return None if it is locked already."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def _others_have(domain: int) -> bool:
    """Return whether a graph of another user, or a guest of one, is in a domain."""
    for folder in ROOT.glob("handlab-domains-*"):
        for name in (f"{domain}", f"{domain}-guests"):
            if folder == _folder():
                continue
            with suppress(OSError):  # the user does not show it, or nobody was there yet
                lock = _lock(os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_EX)
                if lock is None:
                    return True
                os.close(lock)
    return False
