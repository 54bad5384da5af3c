"""The graph in lockstep beside the in-process environment: numbers that differ."""

import numpy as np

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.benches.running.graph import running_sampler
from handlab.graph.options import ComposeOptions
from handlab_core.environment.env import Env
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import LocalStation
from handlab_core.tasks import make_task
from handlab_learning.algorithms.npg import Npg, NpgConfig
from handlab_sim.backend import MujocoBackend

EPISODES = 20


def measure(seed: int, options: ComposeOptions) -> Result:
    """Run the same episodes, with resets, both ways and count what differs in any bit."""
    task = make_task("valve")
    policy = Npg(task.spaces, NpgConfig(), seed).policy()
    with running_sampler(task, compose=options.compose) as sampler:
        far = list(sampler.sample(policy, EpisodePlan(seed, range(EPISODES))))
    env = Env(task, LocalStation(task, MujocoBackend(task.hand, task.fixture)))
    near = [rollout(env, policy, EpisodePlan(seed, [i]))[0] for i in range(EPISODES)]
    mismatches = compared = 0
    for a, b in zip(far, near, strict=True):
        for name, array in a.arrays.items():
            bits = (np.ascontiguousarray(x).view(np.int64) for x in (array, b.arrays[name]))
            mismatches += int(np.count_nonzero(np.not_equal(*bits)))
            compared += array.size
    details = {"episodes": EPISODES, "compared": compared, "compose": options.compose, "seed": seed}
    return Result(mismatches, 0, "numbers that differ", details)


def _cell(result: Kept) -> str:
    return f"**{result['value']:.0f}** of {result['compared']} in {result['episodes']} episodes"


BENCH = Bench(
    measure,
    options=ComposeOptions,
    figure=Figure(
        "numbers that differ between graph and process",
        "0",
        _cell,
        key=True,
    ),
)
