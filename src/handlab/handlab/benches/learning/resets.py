"""Resets by motor from wherever episodes end: the share that succeeds, over every task.

In turn, hands are left where a wild policy left them at a random time, where a policy did that has
learned for half an hour, and tangled up: fingers in random places while the object's own motor
drags it about between them. Then hand and object are reset by the procedure that a real robot has;
where it gives up it must end limp and name what did not arrive.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.experiments import training
from handlab_core.environment.env import Env
from handlab_core.environment.policies.policy import GaussianPolicy, Policy
from handlab_core.environment.station import LocalStation
from handlab_core.reset.motor import MotorReset, Stage
from handlab_core.reset.procedure import ResetTick
from handlab_core.tasks import TASKS, Task, make_task
from handlab_core.types import Array, Command
from handlab_learning.runs import checkpoint
from handlab_learning.runs.config import RunConfig
from handlab_sim.backend import MujocoBackend

NUM_ENVS, ROUNDS = 50, 21
"""Number of simulated robots and of rounds; a task has their product of resets, a third of each
kind."""

LIMIT = 0.995
"""Share of the resets that must succeed."""

HALF_TRAINED = 0.5
"""Robot-hours."""
NEVER = 10**6
"""Iterations between evaluations, which this bench does not use."""

HIDDEN, GAIN, NOISE = 16, 2.0, 0.5
"""Settings of a wild policy: hidden units, factor of the last layer's weights, and standard
deviation of the actions."""

PLACES, STAY = 4, 6
"""Number of places that tangled fingers go to, and of steps at each."""


@dataclass
class Count:
    """Outcomes of the resets of one task."""

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
        """Return the counts as JSON data."""
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
    """Leave hands in every kind of trouble and reset them."""
    learned = half_trained(task, seed)
    station = LocalStation(task, MujocoBackend(task.hand, task.fixture, NUM_ENVS, threads=2))
    env, count, rng = Env(task, station, teleport=True), Count(), np.random.default_rng(seed)
    for i in range(ROUNDS):
        episodes = np.arange(i * NUM_ENVS, (i + 1) * NUM_ENVS)
        observation, _ = env.reset(seed, episodes)
        if i % 3 == 0:
            tangle(station, rng)
        else:
            play(env, observation, learned if i % 3 == 1 else wild(task, rng), rng)
        angles = [task.start(seed, int(n) + NUM_ENVS).object_angle for n in episodes]
        resets = [MotorReset(task.hand, task.fixture, angle) for angle in angles]
        for reset, tick in zip(resets, station.drive(resets), strict=True):
            count.add(reset, tick)
    return count


def play(env: Env, observation: Array, policy: Policy, rng: np.random.Generator) -> None:
    """Let a policy act until a random time."""
    policy = policy.begin()
    for _ in range(int(rng.integers(1, env.task.steps + 1))):
        noise = rng.standard_normal((env.num_envs, env.hand.n))
        observation = env.step(policy.act(observation, noise)).observation


def tangle(station: LocalStation, rng: np.random.Generator) -> None:
    """Send fingers to random places, at every other one with the object dragged elsewhere."""
    hand, fixture, n = station.hand, station.fixture, station.num_envs
    full = np.broadcast_to(hand.max_effort, (n, hand.n))
    for place in range(PLACES):
        q = hand.target(rng.uniform(-1.0, 1.0, (n, hand.n)))
        angle = rng.uniform(fixture.lower, fixture.upper, (n, 1))
        drag = Command(angle, np.full((n, 1), fixture.max_effort))
        for _ in range(STAY):
            motor = None if place % 2 else drag
            station.backend.step(Command(q, full), motor, station.task.period)


def wild(task: Task, rng: np.random.Generator) -> GaussianPolicy:
    """Return a policy of random weights, which throws the hand about."""
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


def half_trained(task: Task, seed: int) -> Policy:
    """Return a policy after a little learning."""
    config = RunConfig(
        task.name, backend="sim", seed=seed, max_hours=HALF_TRAINED, until="hours",
        evaluate_every=NEVER,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="handlab-") as scratch:
        folder = training.new_run(config, Path(scratch))
        training.train(folder, resume=False, num_envs=20)
        return checkpoint.load(folder.path).policy()


def _cell(result: Kept) -> str:
    total = sum(task["resets"] for task in result["tasks"].values())
    return (
        f"**{result['value']:.1%}**; {total} resets, {result['unclean_aborts']} without a clean end"
    )


BENCH = Bench(
    measure,
    figure=Figure(
        "resets by motor that succeed, from wherever hands are left; the worst task",
        "at least 99.5 %",
        _cell,
    ),
)
