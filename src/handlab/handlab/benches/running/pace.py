"""Episodes in real pace on a machine with other work: states without reward, and what broke off."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from handlab.benches.kept import kept
from handlab.benches.options import MinutesOptions
from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.graph.config import GraphConfig, on_machine
from handlab.graph.processes import BackgroundGraph
from handlab_core.environment.episode import EpisodePlan
from handlab_core.errors import HandlabError
from handlab_core.options import HardwareOptions
from handlab_core.system.validation import checked
from handlab_core.tasks import Task, make_task
from handlab_interfaces import msg as wire
from handlab_learning.algorithms.npg import Npg, NpgConfig
from handlab_nodes.clients.graph_sampler import GraphSampler
from handlab_nodes.messages import cdr_codec, qos, topics
from handlab_nodes.runtime.event_loop import EventLoop, guest

NAME, TASK = "pace", "valve"

SETTLE = 2.0
"""s. Rewards of states that are younger than this at the end may still be on their way."""

MAX_STOPS = 10
"""Rollouts that may end by an error before the bench gives up."""


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core busy with another program."""
    spin = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in others:
            process.kill()
            process.wait()


class Witness:
    """Listens to the object's states and their rewards, and counts the states without one."""

    def __init__(self, loop: EventLoop, task: Task) -> None:
        node = loop.nodes[0]
        self._objects, terms = cdr_codec.ObjectStates(), len(task.reward_computer().terms)
        self._rewards = cdr_codec.Rewards(terms)
        self._states: list[float] = []
        self._rewarded: set[float] = set()
        hear = node.create_subscription
        hear(wire.ObjectState, topics.OBJECT_STATE, self._on_object, qos.EVERY, raw=True)
        hear(wire.Reward, topics.REWARD, self._on_reward, qos.EVERY, raw=True)

    def _on_object(self, data: bytes) -> None:
        self._states.append(float(self._objects.unpack(data).stamp[0]))

    def _on_reward(self, data: bytes) -> None:
        self._rewarded.add(self._rewards.key(data)[1])

    def unrewarded(self) -> tuple[int, int]:
        """Return the number of states without reward, and of all states since the first reward."""
        if not self._rewarded:
            return len(self._states), len(self._states)
        first, last = min(self._rewarded), self._states[-1] - SETTLE
        counted = [stamp for stamp in self._states if first <= stamp <= last]
        return sum(stamp not in self._rewarded for stamp in counted), len(counted)


def run(seconds: float, seed: int, station: HardwareOptions) -> dict[str, Any]:
    """Run episodes in real pace while other programs keep all cores busy.

    Args:
        seconds: wall time; the episode under way is finished.
        seed: of the policy's weights, of starts and goals.
        station: hardware; the port `emulated` needs no hand.

    Returns:
        Counts by name.

    Raises:
        HandlabError: rollouts ended by an error MAX_STOPS times.
    """
    task = make_task(TASK)
    policy = Npg(task.spaces, NpgConfig(), seed).policy()
    config = on_machine(
        GraphConfig(TASK, pace="real", learner=False),
        station.hardware,
        station.station,
        station.port,
    )
    stops: list[str] = []
    episodes = breaks = 0
    with (
        tempfile.TemporaryDirectory(prefix="handlab-") as scratch,
        BackgroundGraph(config, Path(scratch, "nodes.log")) as graph,
        guest("learner", graph.domain) as (_, loop),
        busy_cores(),
    ):
        sampler = GraphSampler(loop.nodes[0], loop, task)
        witness = Witness(loop, task)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                [episode] = sampler.sample(policy, EpisodePlan(seed, [episodes]))
            except HandlabError as error:
                stops.append(str(error))
                if len(stops) == MAX_STOPS:
                    raise
                continue
            episodes += 1
            breaks += episode.time.breaks
        settled = time.monotonic() + SETTLE
        while time.monotonic() < settled:
            loop.once(0.1)
    unrewarded, states = witness.unrewarded()
    return {
        "states_without_reward": unrewarded,
        "episodes_broken_off": breaks,
        "stops": stops,
        "states": states,
        "episodes": episodes,
    }


@checked
class PaceBenchOptions(HardwareOptions, MinutesOptions):
    """Options of the bench."""


def measure(seed: int, options: PaceBenchOptions) -> Result:
    """Count all that must not happen to episodes in real pace; other hardware's part is kept."""
    counts = run(60.0 * options.minutes, seed, options)
    part = counts | {
        "violations": counts["states_without_reward"]
        + counts["episodes_broken_off"]
        + len(counts["stops"]),
        "minutes": options.minutes,
        "load": os.getloadavg()[-1],
        "seed": seed,
    }
    hardware = kept(NAME, "hardware") | {options.hardware: part}
    unit = "states without reward, episodes broken off and stops"
    return Result(part["violations"], 0, unit, {"hardware": hardware})


def _cell(result: Kept) -> str:
    parts = (
        f"`{name}` **{part['violations']}** of {part['states']} states and {part['episodes']} "
        f"episodes in {part['minutes']:.0f} min"
        for name, part in result["hardware"].items()
    )
    return ", ".join(parts)


BENCH = Bench(
    measure,
    options=PaceBenchOptions,
    keeps_parts=True,
    figure=Figure(
        "real pace beside programs that keep both cores busy, in simulation and on emulated "
        "servos: states without reward, episodes broken off, stops",
        "0 in an hour of each",
        _cell,
    ),
)
