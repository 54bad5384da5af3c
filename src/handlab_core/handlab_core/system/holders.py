"""Names of the processes that hold a file, for messages about ports that are in use."""

import os
from pathlib import Path

PROC = Path("/proc")

MOST_WORDS = 60
"""Characters of a command line in a message."""

OURS = "handlab.cli"
"""Module that every verb of this project runs."""


def lock_holder(path: Path | str, proc: Path = PROC) -> str:
    """Return the process that has locked a file, in words; empty: none is known.

    A process that a program of this project has started is named by that program.

    Args:
        path: file or device; a link is followed.
        proc: folder of the kernel with the processes (proc(5)).
    """
    try:
        status = os.stat(path)
        locks = (proc / "locks").read_text().splitlines()
    except OSError:
        return ""
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    for line in locks:
        words = line.split()  # number, kind, mode, access, process, file, begin, end
        if len(words) == 8 and words[5] == f"{device}:{status.st_ino}":
            return _described(int(words[4]), proc)
    return ""


def _described(pid: int, proc: Path) -> str:
    """Return a process in words: its number and its command line, or that of its supervisor."""
    words = _command_line(pid, proc)
    if not words:
        return ""
    parent = _parent(pid, proc)
    while OURS in (line := _command_line(parent, proc)):
        pid, words = parent, line
        parent = _parent(parent, proc)
    if OURS in words:
        words = ["./handlab", *words[words.index(OURS) + 1 :]]
    text = " ".join(words)
    text = text if len(text) <= MOST_WORDS else f"{text[: MOST_WORDS - 4]} ..."
    return f"process {pid}: {text}"


def _command_line(pid: int, proc: Path) -> list[str]:
    try:
        text = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return []
    return [word for word in text.split("\0") if word]


def _parent(pid: int, proc: Path) -> int:
    try:
        text = (proc / str(pid) / "stat").read_text()
    except OSError:
        return 0
    # The name of the program stands in parentheses and may contain spaces (proc(5)).
    return int(text.rpartition(")")[2].split()[1])
