"""The graph in lockstep beside the in-process environment: numbers that differ."""

import numpy as np

from handlab.benches.graph import running_sampler
from handlab.benches.result import Result
from handlab_core.env import Env
from handlab_core.episode import ARRAYS
from handlab_core.rollout import rollout
from handlab_core.station import LocalStation
from handlab_core.tasks import make_task
from handlab_learning.algorithms.npg import Npg, NpgConfig
from handlab_sim.worlds import Worlds

EPISODES = 20


def measure(seed: int, compose: bool = False) -> Result:
    """Run the same episodes, with resets, both ways and count what differs in any bit."""
    task = make_task("valve")
    policy = Npg(task.spaces, NpgConfig(), seed).policy()
    with running_sampler(task, compose=compose) as sampler:
        far = sampler.sample(policy, seed, range(EPISODES))
    env = Env(task, LocalStation(task, Worlds(task.hand, task.fixture)))
    near = [rollout(env, policy, seed, np.array([i]))[0] for i in range(EPISODES)]
    mismatches = compared = 0
    for a, b in zip(far, near, strict=True):
        for name in ARRAYS:
            bits = (np.ascontiguousarray(getattr(e, name)).view(np.int64) for e in (a, b))
            mismatches += int(np.count_nonzero(np.not_equal(*bits)))
            compared += getattr(a, name).size
    details = {"episodes": EPISODES, "compared": compared, "compose": compose, "seed": seed}
    return Result(mismatches, 0, "numbers that differ", details)
