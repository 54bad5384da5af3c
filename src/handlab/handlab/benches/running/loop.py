"""The driver's period errors while a learner computes, beside those of a bare sleeping loop."""

import multiprocessing
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.emulation.emulated_hands import emulated_graph
from handlab.experiments.task_kinds import local_sampler
from handlab.graph.config import GraphConfig
from handlab_core.environment.episode import EpisodePlan
from handlab_core.system.scheduling import use_realtime_priority
from handlab_core.tasks import make_task
from handlab_learning.algorithms.npg import Npg, NpgConfig
from handlab_nodes.driver.step_loop import REMEMBERED, percentile_ms
from handlab_nodes.runtime.event_loop import EventLoop, guest

RATE = 100.0  # Hz
ROUNDS = 3
PERCENT = 99
KEY = "period_error_p99_ms"

Pair = tuple[float, float]


def measure(seed: int) -> Result:
    """Compare the errors of both loops' periods over the same seconds, round by round."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    learner = context.Process(target=_learn, args=(stop, seed))
    learner.start()
    try:
        rounds = _rounds()
    finally:
        stop.set()
        learner.join()
    driver, bare = (float(np.median(column)) for column in zip(*rounds, strict=True))
    details = {"percentile": PERCENT, "rate": RATE, "rounds": rounds, "seed": seed}
    return Result(driver, bare, "ms of period error, 99th percentile", details)


def _rounds() -> list[Pair]:
    """Return the errors of driver and bare loop [ms], each over the periods a driver remembers."""
    config = GraphConfig(runner=False, learner=False, rate=RATE, resting_rate=RATE)
    with (
        tempfile.TemporaryDirectory(prefix="handlab-") as scratch,
        emulated_graph(config, Path(scratch)) as (_, graph),
        guest("_bench", graph.domain) as (node, loop),
    ):
        reported: dict[str, float] = {}

        def on_diagnostics(message: DiagnosticArray) -> None:
            values = {v.key: v.value for s in message.status for v in s.values}
            if KEY in values:
                reported[KEY] = float(values[KEY])

        node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
        loop.wait(lambda: KEY in reported, "the driver")
        return [_round(loop, reported) for _ in range(ROUNDS)]


def _round(loop: EventLoop, reported: dict[str, float]) -> Pair:
    bare = bare_error()
    reported.clear()
    loop.wait(lambda: KEY in reported, "the driver's report")
    return reported[KEY], bare


def bare_error() -> float:
    """Return the period error of a loop that only sleeps, 99th percentile [ms]; takes ten seconds.

    The loop has the driver's priority.
    """
    with ThreadPoolExecutor(1, initializer=use_realtime_priority) as own:
        return percentile_ms(own.submit(_sleep_in_a_loop).result(), PERCENT)


def _sleep_in_a_loop() -> list[float]:
    """Return the errors of a loop that only sleeps until its next period."""
    errors, period = [], 1.0 / RATE
    due = began = time.monotonic()
    for _ in range(REMEMBERED):
        due += period
        time.sleep(max(0.0, due - time.monotonic()))
        now = time.monotonic()
        errors.append(now - began - period)
        began = now
    return errors


def _learn(stop: Event, seed: int) -> None:
    """Keep one core busy with the learner's own work."""
    task = make_task("valve")
    learner = Npg(task.spaces, NpgConfig(), seed)
    plan = EpisodePlan(seed, range(20))
    episodes = list(local_sampler(task, 1, 1).sample(learner.policy(), plan))
    while not stop.is_set():
        learner.update(episodes)


def _cell(result: Kept) -> str:
    return f"**{result['ratio']:.2f}** ({result['value']:.2f} ms beside {result['limit']:.2f} ms)"


BENCH = Bench(
    measure,
    figure=Figure(
        "the driver's period error at 100 Hz beside a bare sleeping loop, 99th percentile",
        "ratio at most 2",
        _cell,
    ),
)
