"""The record of the set-up: a step whose record is gone is repeated by the next start."""

import json
import os
import sys
from pathlib import Path

import psutil

from handlab_core.errors import MOST_SHOWN, BadConfig
from handlab_core.system.files import write_atomically

RECORD = "handlab.json"
"""File in the environment's folder; `tools/bootstrap.py` writes it."""

EVERYTHING, MESSAGES, PACKAGES = "environment", "workspace", "packages"
"""Steps of the set-up: the whole environment, the build of the messages, the links to sources."""

NEXT = {
    EVERYTHING: "the next start makes the environment again",
    MESSAGES: "the next start builds the messages again",
    PACKAGES: "the next start installs handlab's packages again",
}


def repeat(step: str, environment: Path | None = None) -> str:
    """Let the next start repeat a step of the set-up, and those after it; return the effect.

    Args:
        step: `EVERYTHING`, `MESSAGES` or `PACKAGES`.
        environment: folder of the virtual environment; None: that of this process.

    Raises:
        BadConfig: processes use the environment; names them.
        OSError: the record cannot be written.
    """
    folder = environment or Path(sys.prefix)
    if users := _users(folder):
        raise BadConfig(f"end these processes first, which use {folder}: {', '.join(users)}")
    path = folder / RECORD
    done = {} if step == EVERYTHING else json.loads(path.read_text())
    done.pop(step, None)
    write_atomically(path, json.dumps(done, indent=1) + "\n")
    return NEXT[step]


def _users(folder: Path) -> list[str]:
    """List the other processes that run the Python of an environment."""
    here = psutil.Process()
    own = {here.pid, *(parent.pid for parent in here.parents())}
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or [""]
        if process.pid not in own and words[0].startswith(f"{folder}{os.sep}"):
            found.append(f"{process.pid} ({' '.join(words)[:MOST_SHOWN]})")
    return found
