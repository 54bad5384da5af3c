"""`./handlab test`: run the tests."""

import os
import subprocess
import sys

import typer

from handlab_core.system.paths import share

FAILED = 1
"""Exit status of pytest if a test failed; an interruption and a wrong option have others."""

LAST_FAILED = ["--last-failed", "--last-failed-no-failures", "none", "--maxfail", "3"]
"""Three tests that fail twice decide; each may take the whole of its time limit."""

SLOWEST = ["--durations", "30", "--durations-min", "5"]


def test(context: typer.Context) -> None:
    """Run every test, three files at a time on two cores; arguments go to pytest instead.

    Tests that failed beside others run again, one after the other, and these runs decide: some
    compare times on the wall with limits, and a busy machine exceeds them now and then.
    """
    if context.args:
        raise SystemExit(_pytest(context.args))
    # Most tests of graphs wait for a clock or for another process.
    processes = max(2, 3 * len(os.sched_getaffinity(0)) // 2)
    status = _pytest(
        ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder", *SLOWEST]
    )
    if status == FAILED:
        typer.echo("the tests that failed beside others run again, one after the other", err=True)
        status = _pytest(LAST_FAILED)
    raise SystemExit(status)


def _pytest(arguments: list[str]) -> int:
    return subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=share())
