"""Robot-minutes until the valve is learned on emulated servos in real pace, beside lockstep.

`./handlab train` runs as its user starts it. Meanwhile this process listens to the driver's period
errors, and measures those of a bare loop that only sleeps.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

from diagnostic_msgs.msg import DiagnosticArray
from pydantic import Field

from handlab.benches.formatting import print_row
from handlab.benches.kept import kept
from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.benches.running.loop import KEY, bare_error
from handlab.graph.running_graphs import running_graphs
from handlab.reporting.compare import median_or_never
from handlab_core.errors import StationFault
from handlab_core.options import EMULATED
from handlab_core.system.validation import Count, checked
from handlab_nodes.runtime.event_loop import guest

NAME, TASK, ALGORITHM = "real_pace", "valve", "rlpd"

LIMIT = 1.3
"""Limit of the median: robot-minutes in real pace as a multiple of those in lockstep."""

ERROR_LIMIT = 2.0
"""Limit of the driver's period error, as a multiple of that of the bare loop."""

MINUTES = 30.0
"""Robot-minutes after which a run ends."""

LOGS = Path("runs", "bench-real-pace")
"""Folder of what each run prints."""

START = 120.0
"""s; time for the graph of a run to appear."""


@checked
class RealPaceOptions:
    """Options of the bench."""

    seeds: Annotated[Count, Field(le=20, description="Number of seeds")] = 5


def measure(seed: int, options: RealPaceOptions) -> Result:
    """Learn with each seed; return the ratio of the median to that of `bench minutes`."""
    runs = [_learn(number) for number in range(seed, seed + options.seeds)]
    minutes = [run["robot_minutes"] for run in runs]
    lockstep = kept("minutes", "rows").get(TASK, {}).get("median_robot_minutes")
    median = median_or_never(minutes)
    details = {
        "seeds": [run["seed"] for run in runs],
        "robot_minutes": minutes,
        "median_robot_minutes": median,
        "lockstep_median_robot_minutes": lockstep,
        "strict_success_rate": [run["strict_success_rate"] for run in runs],
        "driver_period_error_p99_ms": [run["driver_ms"] for run in runs],
        "bare_period_error_p99_ms": [run["bare_ms"] for run in runs],
        "period_error_ratio": statistics.median(run["driver_ms"] / run["bare_ms"] for run in runs),
        "period_error_limit": ERROR_LIMIT,
    }
    ratio = median / lockstep if median is not None and lockstep else float("inf")
    return Result(ratio, LIMIT, "times the robot-minutes in lockstep", details)


def _learn(seed: int) -> dict[str, Any]:
    words = [
        "train", TASK, "--algorithm", ALGORITHM, "--hardware", "dynamixel", "--port", EMULATED,
        "--max-hours", str(MINUTES / 60), "--seed", str(seed), "--json",
    ]  # fmt: skip
    command = [sys.executable, "-m", "handlab.cli", *words]
    LOGS.mkdir(parents=True, exist_ok=True)
    printed = LOGS / f"{seed}.log"
    with (
        tempfile.TemporaryDirectory(prefix="handlab-") as scratch,
        printed.open("w") as log,
    ):
        verb = subprocess.Popen(command, cwd=scratch, stdout=log, stderr=subprocess.STDOUT)
        try:
            driver, bare = _period_errors(verb)
        finally:
            verb.terminate()
            verb.wait()
    lines = printed.read_text().splitlines()
    if verb.returncode != 0:
        raise StationFault(
            f"the run of seed {seed} ended with code {verb.returncode}; see {printed.absolute()}"
        )
    summary = json.loads(lines[-1])
    hours = summary["robot_hours_to_strict_success"]
    run = {
        "seed": seed,
        "robot_minutes": None if hours is None else 60 * hours,
        "strict_success_rate": summary["strict_success_rate"],
        "driver_ms": statistics.median(driver),
        "bare_ms": statistics.median(bare),
    }
    print_row(run)
    return run


def _period_errors(verb: "subprocess.Popen[bytes]") -> tuple[Sequence[float], Sequence[float]]:
    """Return the errors [ms] that driver and bare loop had until the run ended, time by time."""
    driver: list[float] = []
    bare: list[float] = []

    def on_diagnostics(message: DiagnosticArray) -> None:
        driver.extend(float(v.value) for s in message.status for v in s.values if v.key == KEY)

    with guest("_bench", _domain(verb)) as (node, loop), ThreadPoolExecutor(1) as own:
        node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
        while verb.poll() is None:
            one = own.submit(bare_error)
            while not one.done():
                loop.once(0.2)
            bare.append(one.result())
    if not driver or not bare:
        raise StationFault("the run ended before its driver reported its periods")
    return driver, bare


def _domain(verb: "subprocess.Popen[bytes]") -> int:
    """Return the ROS domain of a run as soon as its graph runs."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and verb.poll() is None:
        for graph in running_graphs():
            if graph.pid == verb.pid:
                return graph.domain
        time.sleep(0.2)
    raise StationFault(f"no graph of the run appeared within {START:.0f} s")


def _cell(result: Kept) -> str:
    ours = result["median_robot_minutes"]
    learned = "never" if ours is None else f"{ours:.1f} min, {len(result['seeds'])} seeds"
    return (
        f"**{result['value']:.2f}** ({learned}); period error of the driver "
        f"{result['period_error_ratio']:.2f} of a bare loop's"
    )


BENCH = Bench(
    measure,
    options=RealPaceOptions,
    figure=Figure(
        "the valve from nothing on emulated servos in real pace: robot-minutes as a multiple of "
        "those in lockstep, median; the driver's period error meanwhile",
        "at most 1.3; 2",
        _cell,
    ),
)
