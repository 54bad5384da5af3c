"""Search of the scripted teacher's gait for a task: CMA-ES over poses.

A gait is good if the object soon comes to its goal and stays there, led by a trembling hand; and if
the actions that are inferred from that motion, replayed open loop, have the engaged hand do the
same. Such a gait is slow enough for the servos, and its contacts do not depend on luck.
"""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import cma
import numpy as np

from handlab.teaching.scripted import Classroom
from handlab.teaching.search_config import SearchConfig
from handlab_core.demonstrations.gait import Gait, gait_file, gait_text, load_gait
from handlab_core.demonstrations.recording import Motion, to_episode
from handlab_core.demonstrations.scripted_teacher import TeacherConfig, gait_lesson
from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.system.files import check_writable, read_json, write_atomically
from handlab_core.tasks import Task
from handlab_core.tasks.criteria import last_fifth
from handlab_core.types import Array

RATE, FASTEST = 2.0, 0.9
"""Initial rate, rad/s; largest rate, as a fraction of the hand's smallest rate limit."""

BRAKING = 0.5
"""rad; initial braking distance."""

REACH = 0.95
"""Fraction of the commanded range that poses use."""

SAMPLES = 12
"""Poses of a cycle that several fingers go through one after another."""


class GaitSearch:
    """Turns numbers into gaits and judges them, a population at once.

    Args:
        task: the task to teach; its hand's joints are ordered finger by finger.
        config: settings of the search.
        start: a gait to begin from; only without `alike`.
    """

    def __init__(self, task: Task, config: SearchConfig, start: Gait | None = None) -> None:
        if start is not None and (config.alike or start.poses.shape[0] != config.poses):
            raise BadConfig(f"a search from a gait needs its {start.poses.shape[0]} poses")
        self.task, self.config = task, config
        hand = task.hand
        self._fingers = len(hand.fingertips)
        self._per_finger = hand.n // self._fingers
        self._room = Classroom(task, config.population)
        rng = np.random.default_rng(config.seed)
        poses = config.poses * (self._per_finger if config.alike else hand.n)
        delays = self._fingers - 1 if config.alike else 0
        self._shape = poses, delays
        self.first = np.concatenate(
            (
                rng.normal(size=poses) * 0.5,
                np.arange(1, delays + 1) / self._fingers,
                np.zeros(2),
            )
        )
        if start is not None:
            self.first = _numbers(hand, start)

    def gaits(self, numbers: Array) -> Gait:
        """Return the gaits of N vectors of numbers, (N, D)."""
        poses, delays = self._shape
        cycle = np.tanh(numbers[:, :poses]).reshape(len(numbers), self.config.poses, -1)
        if self.config.alike:
            late = np.insert(numbers[:, poses : poses + delays], 0, 0.0, axis=1)
            cycle = _one_after_another(cycle, late)
        hand = self.task.hand
        fastest = FASTEST * float(hand.max_rate.min())
        rate = np.minimum(RATE * np.exp(numbers[:, -2] / 2), fastest)
        return Gait(hand.target(REACH * cycle), rate, BRAKING * np.exp(numbers[:, -1] / 2))

    def costs(self, numbers: Array, generation: int) -> Array:
        """Return the costs of gaits, (N,) rad; each generation's hands tremble differently."""
        far = np.abs(numbers[:, : self._shape[0]]).mean(axis=1)
        return self._costs(self.gaits(numbers), far, generation)

    def cost(self, gait: Gait) -> float:
        """Return the cost of one gait [rad], over as many hands as a generation has.

        Their starts, goals and trembling are those of the generation after the last, so that gaits
        can be compared on ground that no search has seen.
        """
        count = self.config.population
        far = np.abs(_numbers(self.task.hand, gait)[:-2]).mean()
        led = Gait(
            np.broadcast_to(gait.poses, (count, *gait.poses.shape)),
            np.full(count, float(gait.rate)),
            np.full(count, float(gait.braking)),
        )
        costs = self._costs(led, np.full(count, far), self.config.generations)
        return float(costs.mean())

    def _costs(self, gaits: Gait, far: Array, generation: int) -> Array:
        """Return the costs [rad] of N gaits; `far` (N,): distance from the middle of the range."""
        config, room = self.config, self._room
        teacher_config = TeacherConfig(noise=config.noise)
        episodes = range(generation * config.population, (generation + 1) * config.population)
        lesson = gait_lesson(self.task, gaits)
        motions = room.demonstrate(lesson, teacher_config, config.seed, episodes)
        shown = np.array([self._error(m.object.angle, m) for m in motions])
        actions = np.stack([to_episode(m, self.task).trajectory.actions for m in motions], axis=1)
        repeated = room.replay(actions, config.seed, episodes)
        again = np.array([self._error(a, m) for a, m in zip(repeated, motions, strict=True)])
        cost: Array = shown + config.replay_weight * again + config.effort_weight * far
        return cost

    def run(self, on_generation: Callable[[int, float], None]) -> Gait:
        """Search; return the mean of the last generation.

        Args:
            on_generation: called with each generation's number and its median cost.
        """
        config = self.config
        options = {"popsize": config.population, "seed": config.seed + 1, "verbose": -9}
        search = cma.CMAEvolutionStrategy(self.first, config.spread, options)
        for generation in range(config.generations):
            numbers = np.array(search.ask())
            costs = self.costs(numbers, generation)
            search.tell(list(numbers), costs.tolist())
            on_generation(generation, float(np.median(costs)))
        found = self.gaits(search.mean[None, :])
        return Gait(found.poses[0], found.rate[0], found.braking[0])

    def _error(self, angle: Array, motion: Motion) -> float:
        errors = np.abs(angle - motion.goal.at(motion.object.stamp)[:, 0])[1:]
        return float(errors.mean() + self.config.end_weight * last_fifth(errors).mean())


def _one_after_another(cycle: Array, late: Array) -> Array:
    """Return (N, S, n): a finger's cycles (N, K, j) for every finger, each with its delay."""
    count, rows = cycle.shape[1], np.arange(len(cycle))

    def at(part: Array) -> Array:
        along = np.mod(part, 1.0) * count
        first = np.minimum(along.astype(np.int64), count - 1)
        rest = (along - first)[:, None]
        pose: Array = (1 - rest) * cycle[rows, first] + rest * cycle[rows, (first + 1) % count]
        return pose

    parts = np.arange(SAMPLES) / SAMPLES
    return np.stack(
        [np.concatenate([at(part + delay) for delay in late.T], axis=1) for part in parts], axis=1
    )


def _numbers(hand: Hand, gait: Gait) -> Array:
    """Invert `GaitSearch.gaits` for a gait without delays."""
    poses = np.arctanh(np.clip(hand.normalise(gait.poses) / REACH, -0.99, 0.99))
    scales = 2 * np.log([float(gait.rate) / RATE, float(gait.braking) / BRAKING])
    return np.concatenate((poses.ravel(), scales))


@dataclass(frozen=True)
class Found:
    """Result of a search."""

    file: Path
    cost: float  # rad
    own_cost: float | None  # rad, of the task's own gait by the same measure; None: it has none
    kept: bool  # it is the task's own now


def default_output(task: Task) -> Path:
    """Return the path of a new gait file below the working directory."""
    return Path("gaits") / f"{datetime.now():%Y%m%d-%H%M%S}-{task.name}.json"


def search_gait(
    task: Task,
    config: SearchConfig,
    output: Path,
    keep: bool,
    command: Sequence[str],
    begun: Task | None,
    on_generation: Callable[[int, float], None],
) -> Found:
    """Search a gait and write it; the task's own is replaced by a better one only, if asked to.

    Args:
        task: the task to teach.
        config: of the search.
        output: file to write; must not exist.
        keep: make the gait the task's own, in config/gaits/, if it is better than that.
        command: kept with the gait.
        begun: the task whose gait to begin from; None: from chance.
        on_generation: called with each generation's number and its median cost.

    Raises:
        BadConfig: the output exists.
        CannotWrite: it, or the task's own file if that may be replaced, cannot be written.
    """
    own = gait_file(task)
    if output.exists():
        raise BadConfig(f"{output} exists; choose another file for the gait")
    check_writable(output.parent)
    if keep:
        check_writable(own.parent)
    search = GaitSearch(task, config, load_gait(begun) if begun else None)
    before = load_gait(task) if own.is_file() else None
    found = search.run(on_generation)
    cost = search.cost(found)
    own_cost = None if before is None else search.cost(before)
    text = gait_text(task, found, _source(config, command, begun))
    write_atomically(output, text)
    better = own_cost is None or cost < own_cost
    if keep and better:
        write_atomically(own, text)
    return Found(output, cost, own_cost, keep and better)


def _source(config: SearchConfig, command: Sequence[str], begun: Task | None) -> dict[str, Any]:
    """Return command, library and settings of a search, kept with its gait."""
    source = {"command": shlex.join(command), "library": f"cma {cma.__version__}", **asdict(config)}
    if begun is not None:
        source["begun"] = read_json(gait_file(begun))["source"]
    return source
