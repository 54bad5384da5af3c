"""`./handlab test`: run the tests."""

import os
import subprocess
import sys

import typer

from handlab_core.system.paths import share


def test(context: typer.Context) -> None:
    """Run every test, three files at a time on two cores; arguments go to pytest instead."""
    # Most tests of graphs wait for a clock or for another process.
    processes = max(2, 3 * len(os.sched_getaffinity(0)) // 2)
    in_parallel = ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]
    arguments = context.args or in_parallel
    command = [sys.executable, "-m", "pytest", *arguments]
    raise SystemExit(subprocess.call(command, cwd=share()))
