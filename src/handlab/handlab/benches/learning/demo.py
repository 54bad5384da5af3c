"""The demo as a user runs it, from the command to the report."""

import json
import subprocess
import sys
import tempfile
import time

from handlab.benches.formatting import rate_text
from handlab.benches.result import Bench, Figure, Kept, Result
from handlab_core.errors import StationFault

LIMIT = 6.0
"""Minutes after set-up."""


def measure(seed: int) -> Result:
    """Run `handlab demo` in an empty folder and take the time."""
    with tempfile.TemporaryDirectory(prefix="handlab-") as folder:
        began = time.monotonic()
        command = [sys.executable, "-m", "handlab.cli", "demo", "--json", "--seed", str(seed)]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        minutes = (time.monotonic() - began) / 60
    if done.returncode != 0:
        raise StationFault(f"the demo ended with code {done.returncode}")
    summary = json.loads(done.stdout.splitlines()[-1])
    keys = ("success_rate", "strict_success_rate", "robot_hours", "seed")
    details = {key: summary[key] for key in keys} | {"episodes": summary["evaluation_episodes"]}
    return Result(minutes, LIMIT, "minutes", details)


def _cell(result: Kept) -> str:
    return f"{rate_text(result)}, **{result['value']:.1f} min**"


BENCH = Bench(
    measure,
    figure=Figure(
        "`./handlab demo`: success, and minutes after set-up",
        "at least 90 %, under 6 min",
        _cell,
        key=True,
    ),
)
