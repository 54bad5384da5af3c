"""Lockstep steps through the graph beside a bare ring of as many processes."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from handlab.benches.formatting import steps_text
from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.graph.config import GraphConfig, build_graph
from handlab.graph.processes import BackgroundGraph
from handlab.graph.ros_domain import Domain
from handlab_core.environment.episode import EpisodePlan
from handlab_core.errors import StationFault
from handlab_core.tasks import Task, make_task
from handlab_learning.algorithms.npg import Npg, NpgConfig
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.runtime.event_loop import EventLoop, guest

PROCESSES = 4
"""Every step passes four processes: runner, driver, estimator, reward computer. The reset mechanism
and the learner are up too, and not in the ring."""

ROUNDS = 5
EPISODES = 12
RING_SECONDS = 4.0


def measure(seed: int) -> Result:
    """Alternate between ring and graph; the ratio is the median of the rounds' ratios.

    The bare ring is what rclpy gives by itself. Beside it is one whose processes take turns, as the
    graph's do; and the graph whose nodes share a process.
    """
    task = make_task("valve")
    rounds = []
    with running_sampler(task, learner=True) as apart:
        _speed(apart, task, seed, range(1))
        with running_sampler(task, learner=True, compose=True) as composed:
            _speed(composed, task, seed, range(1))
            for i in range(ROUNDS):
                ring, polite = _ring(), _ring("use_batch_scheduling")
                episodes = range(1 + i * EPISODES, 1 + (i + 1) * EPISODES)
                speeds = [_speed(sampler, task, seed, episodes) for sampler in (apart, composed)]
                rounds.append((*speeds, ring, polite))
    value = statistics.median(graph for graph, *_ in rounds)
    ratio = statistics.median(graph / ring for graph, _, ring, _ in rounds)
    details = {
        "processes": PROCESSES,
        "rounds": [list(r) for r in rounds],
        "ratio_to_a_ring_that_takes_turns": statistics.median(r[0] / r[3] for r in rounds),
        "composed": statistics.median(r[1] for r in rounds),
        "ratio_of_composed_to_the_ring": statistics.median(r[1] / r[2] for r in rounds),
        "seed": seed,
    }
    return Result(value, value / ratio, "control steps/s", details)


def _speed(sampler: GraphSampler, task: Task, seed: int, episodes: Sequence[int]) -> float:
    """Return control steps per second of wall time."""
    policy = Npg(task.spaces, NpgConfig(), seed).policy()
    began = time.perf_counter()
    done = list(sampler.sample(policy, EpisodePlan(seed, episodes)))
    elapsed = time.perf_counter() - began
    # In lockstep robot time is made of control steps, in an episode and in a reset alike.
    return sum((e.time.experience_s + e.time.reset_s) / task.period for e in done) / elapsed


def await_nodes(
    config: GraphConfig, loop: EventLoop, exit_reason: Callable[[], str | None]
) -> None:
    """Wait until all nodes of a graph are there.

    Args:
        config: configuration of the graph.
        loop: events of a node in the graph's domain.
        exit_reason: returns why the graph has ended; None while it runs.

    Raises:
        StationFault: the graph ended before; names the missing nodes.
    """
    expected = {name for node in build_graph(config) for name in node.names}
    while missing := expected - set(loop.nodes[0].get_node_names()):
        loop.once()
        if (reason := exit_reason()) is not None:
            raise StationFault(f"without {', '.join(sorted(missing))}: {reason}")


@contextmanager
def running_sampler(
    task: Task, learner: bool = False, compose: bool = False
) -> Iterator[GraphSampler]:
    """Start a graph in lockstep, and return a sampler that asks it for episodes."""
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        config = GraphConfig(task.name, learner=learner, compose=compose)
        with (
            BackgroundGraph(config, Path(scratch, "nodes.log")) as graph,
            guest("learner", graph.domain, graph.simulated) as (node, loop),
        ):
            # A node that still starts would take a core from those that run.
            await_nodes(config, loop, graph.exit_reason)
            yield GraphSampler(node, loop, task)


def _ring(*options: str) -> float:
    """Round trips per second of a ring; see `handlab.bare_ring` for its options."""
    domain = Domain()
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain.id)}
    words = [sys.executable, "-m", "handlab.bare_ring", str(PROCESSES), str(RING_SECONDS)]
    # A module outside of this package, whose import would cost each process seconds.
    others = [
        subprocess.Popen([*words, str(i), *options], env=environment) for i in range(1, PROCESSES)
    ]
    try:
        first = subprocess.run(
            [*words, "0", *options], env=environment, capture_output=True, text=True, check=True
        )
    finally:
        for process in others:
            process.kill()
            process.wait()
        domain.release()
    return float(first.stdout)


def _cell(result: Kept) -> str:
    turns = result["ratio_to_a_ring_that_takes_turns"]
    beside = "beside one whose processes take turns, as the graph's do"
    return f"{steps_text(result)}; {turns:.2f} {beside}"


BENCH = Bench(
    measure,
    figure=Figure(
        "lockstep steps through the graph beside a bare ring of 4 processes",
        "ratio 0.6",
        _cell,
        key=True,
    ),
)
