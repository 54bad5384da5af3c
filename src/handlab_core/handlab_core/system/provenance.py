"""Origin of a file that a program writes: the version of the code."""

import subprocess
from functools import cache

from handlab_core.errors import BadConfig
from handlab_core.system.paths import share

PATIENCE = 5.0
"""s; time for git to answer."""


@cache
def commit() -> str:
    """Return the commit of the checkout, `-dirty` with changes; empty outside of a checkout."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            command, cwd=share(), capture_output=True, text=True, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired, BadConfig):
        return ""
    return done.stdout.strip()
