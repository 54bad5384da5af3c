"""The graph in lockstep beside the in-process environment: numbers that differ.

Episodes of a fixed policy are compared, and then runs of learners that learn from all episodes,
while the next episode runs: all numbers of their states.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.benches.running.graph import running_sampler
from handlab.graph.options import ComposeOptions
from handlab_core.environment.env import Env
from handlab_core.environment.episode import EpisodePlan
from handlab_core.environment.rollout import rollout
from handlab_core.environment.station import LocalStation
from handlab_core.tasks import Task, make_task
from handlab_learning.algorithms.npg import Npg, NpgConfig
from handlab_learning.policy_files.base_policy import GAIT, read_base
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.sampler import LocalSampler, Sampler
from handlab_learning.runs.trainer import Trainer
from handlab_sim.backend import MujocoBackend

EPISODES = 20

ITERATIONS = 8
"""Iterations of each learner, the last of them with updates of the actor."""

LEARNERS = {
    "rlpd": {"own_demonstrations": 0, "first_episodes": 2, "update_ratio": 1.0},
    "residual": {"first_episodes": 2, "update_ratio": 1.0, "critic_warm_up": 30},
}
"""Settings of the learners by algorithm."""


def measure(seed: int, options: ComposeOptions) -> Result:
    """Run the same episodes, with resets, both ways and count what differs in any bit."""
    task = make_task("valve")
    policy = Npg(task.spaces, NpgConfig(), seed).policy()
    with running_sampler(task, compose=options.compose) as sampler:
        far = list(sampler.sample(policy, EpisodePlan(seed, range(EPISODES))))
    far_states = {}
    for name in LEARNERS:  # a world of its own for each: a reset keeps traces of what came before
        with running_sampler(task, compose=options.compose) as sampler:
            far_states[name] = _learned(name, sampler, seed)
    env = _env(task)
    near = [rollout(env, policy, EpisodePlan(seed, [i]))[0] for i in range(EPISODES)]
    mismatches = compared = 0
    for a, b in zip(far, near, strict=True):
        for name, array in a.arrays.items():
            bits = (np.ascontiguousarray(x).view(np.int64) for x in (array, b.arrays[name]))
            mismatches += int(np.count_nonzero(np.not_equal(*bits)))
            compared += array.size
    details = {"episodes": EPISODES, "compared": compared, "compose": options.compose, "seed": seed}
    learned = {}
    for name, state in far_states.items():
        own = _learned(name, LocalSampler(lambda _: _env(task), 1), seed)
        differ = sum(int((state[key] != own[key]).sum()) for key in own)
        count = sum(tensor.numel() for tensor in own.values())
        learned[name] = {"iterations": ITERATIONS, "compared": count, "differ": differ}
        mismatches += differ
    return Result(mismatches, 0, "numbers that differ", details | {"learners": learned})


def _env(task: Task) -> Env:
    return Env(task, LocalStation(task, MujocoBackend(task.hand, task.fixture)))


def _learned(name: str, sampler: Sampler, seed: int) -> Mapping[str, Tensor]:
    """Return the state of a learner after some iterations."""
    base = GAIT if name == "residual" else ""
    settings: dict[str, Any] = LEARNERS[name]
    config = RunConfig(algorithm=name, base=base, settings=settings, seed=seed, evaluate_every=1000)
    trainer = Trainer(config, sampler, base=read_base(config))
    for _ in range(ITERATIONS):
        trainer.iterate()
    return trainer.algorithm.state_dict()


def _cell(result: Kept) -> str:
    text = f"**{result['value']:.0f}** of {result['compared']} in {result['episodes']} episodes"
    learned = [
        f"{part['compared']} of `{name}` after {part['iterations']}"
        for name, part in result.get("learners", {}).items()
    ]
    return ", ".join((text, *learned))


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
