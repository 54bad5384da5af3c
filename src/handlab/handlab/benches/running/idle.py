"""CPU time of `./handlab up` while it waits for a person, beside its limit: a part of one core."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handlab.benches.kept import kept
from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.benches.running.graph import await_nodes
from handlab.graph.config import GraphConfig, on_machine
from handlab_core.errors import StationFault
from handlab_core.options import EMULATED, HardwareOptions
from handlab_core.system.validation import checked
from handlab_nodes.runtime.event_loop import guest

NAME, TASK = "idle", "valve"

LIMITS = {"": 5.0, EMULATED: 10.0}
"""Percent of a core, by port; with emulated motors their physics is included."""

SECONDS = 10.0
"""Duration of the measurement."""

SETTLE = 15.0
"""Seconds from the last node's start until the hand has been let go and the graph rests."""


@checked
class IdleOptions(HardwareOptions):
    """Options of the bench."""


def measure(seed: int, options: IdleOptions) -> Result:
    """Sum the CPU time of all processes of a graph while nothing is asked of them.

    Args:
        seed: random seed; nothing here is random.
        options: hardware; with the port `emulated` no hand is needed.
    """
    hardware, port = options.hardware, options.port
    words = [TASK, "--hardware", hardware, *(["--port", port] if port else [])]
    words += ["--station", options.station] if options.station else []
    config = on_machine(GraphConfig(TASK, pace="real"), hardware, options.station, port)
    with _running_verb(words) as (verb, domain):
        with guest("_bench", domain, config.simulated) as (_, loop):  # gone before the measurement
            await_nodes(config, loop, lambda: None if verb.poll() is None else "the graph ended")
        time.sleep(SETTLE)
        before, began = cpu_times(verb.pid), time.monotonic()
        time.sleep(SECONDS)
        after, elapsed = cpu_times(verb.pid), time.monotonic() - began
        if verb.poll() is not None or after.keys() != before.keys():
            raise StationFault("a process of the graph ended meanwhile")
    used = {names: (after[names] - before[names]) for names in after}
    percent: dict[str, float] = {}
    for (_, name), spent in used.items():
        percent[name] = percent.get(name, 0.0) + round(100 * spent / elapsed, 2)
    limit, value = LIMITS[EMULATED if config.emulate else ""], sum(percent.values())
    part = {"percent": value, "limit": limit, "percent_by_process": percent, "seconds": SECONDS}
    hands = kept(NAME, "hands") | {port or hardware: part}
    return Result(value, limit, "% of a core", {"hands": hands})


@contextmanager
def _running_verb(words: list[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run `./handlab up`; yield its process and the graph's domain."""
    command = [sys.executable, "-m", "handlab.cli", "up", *words]
    verb = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert verb.stdout is not None
        for line in verb.stdout:
            if found := re.match(r"ROS_DOMAIN_ID=(\d+)", line):
                yield verb, int(found[1])
                return
        raise StationFault("`./handlab up` ended before its graph began")
    finally:
        verb.send_signal(signal.SIGINT)
        verb.communicate()


def cpu_times(process: int) -> dict[tuple[int, str], float]:
    """Return the CPU time of a process and all its descendants [s], by id and name."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    words = Path(f"/proc/{process}/cmdline").read_bytes().decode().split("\0")
    modules = [word for word in words if re.fullmatch(r"handlab\w*(\.\w+)+", word)]
    times = {(process, modules[-1] if modules else words[0]): cpu_seconds(process)}
    for child in children:
        times |= cpu_times(int(child))
    return times


def cpu_seconds(process: int) -> float:
    """Return the CPU time that a process has used, user's and system's; s."""
    stat = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def _cell(result: Kept) -> str:
    return ", ".join(f"`{n}` **{part['percent']:.1f} %**" for n, part in result["hands"].items())


BENCH = Bench(
    measure,
    options=IdleOptions,
    keeps_parts=True,
    figure=Figure(
        "CPU time of an idle `./handlab up` without viewer, of a core",
        "under 5 %, with emulated servos 10 %",
        _cell,
    ),
)
