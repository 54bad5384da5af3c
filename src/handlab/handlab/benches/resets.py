"""Resets by motor from wherever episodes end: the share that succeeds, over every task.

Episodes are cut at random times, half of them those of wild policies and half those of a policy
that has learned for an hour and still drops things. After each, hand and object are reset by the
procedure that a real robot has; where it gives up it must end limp and name what did not arrive.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from handlab import training
from handlab.benches.result import Result
from handlab_core.env import Env
from handlab_core.policy import GaussianPolicy
from handlab_core.reset.motor import MotorReset, ResetTick, Stage
from handlab_core.station import LocalStation
from handlab_core.tasks import TASKS, Task, make_task
from handlab_learning import checkpoint
from handlab_learning.run_config import RunConfig
from handlab_sim.worlds import Worlds

WORLDS, ROUNDS = 50, 20
"""Of each task: their product is the number of resets."""

LIMIT = 0.995
"""Share of the resets that must succeed."""

HALF_TRAINED = 1.0
"""Robot-hours."""
NEVER = 10**6
"""Iterations between evaluations, which nobody reads here."""

HIDDEN, GAIN, NOISE = 16, 2.0, 0.5
"""Of a wild policy: units, how hard it throws the joints about, and how much at random."""


@dataclass
class Count:
    """What became of the resets of one task."""

    resets: int = 0
    succeeded: int = 0
    first_attempt: int = 0
    unclean: int = 0
    """Gave up without letting go of everything, or without a name."""
    seconds: float = 0.0
    longest: float = 0.0
    failed_joints: Counter[str] = field(default_factory=Counter)

    def add(self, reset: MotorReset, last: ResetTick) -> None:
        """Count one reset that has ended."""
        released = not last.hand.effort.any() and not last.fixture.effort.any()
        done = reset.stage is Stage.DONE
        self.resets += 1
        self.succeeded += done
        self.first_attempt += done and reset.attempt == 1
        self.unclean += not done and not (released and reset.failed_joints)
        self.failed_joints.update(() if done else reset.failed_joints)
        self.seconds += reset.elapsed
        self.longest = max(self.longest, reset.elapsed)

    def plain(self) -> dict[str, object]:
        """As JSON."""
        return {
            "resets": self.resets,
            "succeeded": self.succeeded,
            "at_first_attempt": self.first_attempt,
            "unclean_aborts": self.unclean,
            "mean_s": self.seconds / self.resets,
            "longest_s": self.longest,
            "failed_joints": dict(self.failed_joints),
        }


def measure(seed: int) -> Result:
    """Reset every task's station after wild and after half-learned episodes."""
    counts = {name: count_resets(make_task(name), seed) for name in sorted(TASKS)}
    worst = min(count.succeeded / count.resets for count in counts.values())
    unclean = sum(count.unclean for count in counts.values())
    tasks = {name: count.plain() for name, count in counts.items()}
    return Result(
        worst, LIMIT, "of the resets", {"unclean_aborts": unclean, "seed": seed, "tasks": tasks}
    )


def count_resets(task: Task, seed: int) -> Count:
    """Run episodes, cut them at random times and reset."""
    learned = half_trained(task, seed)
    station = LocalStation(task, Worlds(task.hand, task.fixture, WORLDS, threads=2))
    env, count = Env(task, station, teleport=True), Count()
    rng = np.random.default_rng(seed)
    for i in range(ROUNDS):
        policy = learned if i % 2 else wild(task, rng)
        episodes = np.arange(i * WORLDS, (i + 1) * WORLDS)
        observation, _ = env.reset(seed, episodes)
        for _ in range(int(rng.integers(1, task.steps + 1))):
            noise = rng.standard_normal((WORLDS, task.hand.n))
            observation = env.step(policy.act(observation, noise)).observation
        starts = [task.start(seed, int(n) + WORLDS).object_angle for n in episodes]
        resets = [MotorReset(task.hand, task.fixture, angle) for angle in starts]
        for reset, tick in zip(resets, station.drive(resets), strict=True):
            count.add(reset, tick)
    return count


def wild(task: Task, rng: np.random.Generator) -> GaussianPolicy:
    """A policy of random weights, which throws the hand about."""
    inputs, joints = task.observation_size, task.hand.n
    weights = rng.normal(size=(inputs, HIDDEN)), GAIN * rng.normal(size=(HIDDEN, joints))
    return GaussianPolicy(
        tuple(w / np.sqrt(len(w)) for w in weights),
        (np.zeros(HIDDEN), np.zeros(joints)),
        np.full(joints, np.log(NOISE)),
        np.zeros(inputs),
        np.ones(inputs),
        0,
    )


def half_trained(task: Task, seed: int) -> GaussianPolicy:
    """A policy after an hour of learning."""
    config = RunConfig(
        task.name, backend="sim", seed=seed, max_hours=HALF_TRAINED, until="hours",
        evaluate_every=NEVER,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        folder = training.new_run(config, Path(scratch))
        training.train(folder, resume=False, worlds=20)
        return checkpoint.load(folder.path).policy()
