"""Search for a gait that solves a task: the robot finds demonstrations of its own.

Random gaits come first. A gait that turns the object the wrong way is tried backwards. Later ones
are children of the best ones: some numbers change, and some joints move as in another good gait. It
is a genetic algorithm in steady state (Holland, 1975; Whitley, 1989), which works in fewer episodes
than a strategy that changes all numbers of the best gait. A gait that succeeds is repeated, and
each success is a demonstration. Constants without a source: the best median of eight seeds on the
flip and on the valve.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handlab_core.environment.episode import Episode
from handlab_core.environment.policies.gait_policy import GaitPolicy
from handlab_core.tasks.criteria import last_fifth
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array

SUCCESSES_PER_FAILURE = 4
"""Successes of a gait for each failure that is forgiven. Many a gait succeeds in every other
episode, since resets leave the hand and the object a little different each time."""

STREAM = 9
"""Number of the search's random stream."""

PATIENCE = 40
"""Episodes without progress or a success after which the search begins again at random."""

PROGRESS = 0.95
"""Largest part of the lowest cost so far that counts as progress. A population far from a success
may creep on for a hundred episodes otherwise."""

APART = 45
"""Episodes after such a beginning, in which earlier gaits have no children. After these the parents
are the best gaits of all beginnings: a joint that moves well in one helps the gaits of another."""

RANDOM_GAITS = 20
"""Gaits before the first child; of those, each that turns the wrong way is tried backwards."""

RANDOM = 0.05
"""Part of random gaits among the children."""

PARENTS, PRESSURE = 5, 1.5
"""Number of gaits that have children; mean rank of a parent, from 0."""

EXCHANGED, GROUPS = 0.3, 3
"""Part of the children with joints of a second parent; number of groups of neighbouring joints, of
which one is exchanged."""

CHANGED = 0.2
"""Probability that a number changes."""

WRONG = 0.6
"""rad; a gait that moves the object this far away from the goal is tried backwards."""

FREQUENCIES = 0.5, 1.6
"""Hz, range of random gaits."""

LIMITS = 0.15, 2.0
"""Hz, range of all gaits."""

STEP, STEPS = 1.5, (0.25, 0.6)
"""Standard deviation of a change, in units of the spread of random gaits, for each unit of the
parent's cost; its range. A gait that nearly succeeds needs small steps."""


@dataclass(frozen=True)
class _Tried:
    numbers: Array
    cost: float
    wrong: bool  # a random gait, and the object moved away from the goal


class GaitSearch:
    """Proposes gaits, one an episode, and collects the successful episodes.

    All of it depends on the seed and on the episodes in their order, so that a resumed run needs
    the episodes only.

    Args:
        spaces: sizes of the task; its `fingers` must be known.
        seed: of the run.
        wanted: number of demonstrations of one gait after which the search ends.
        limit: number of episodes after which the search ends.
        gaits: (G, numbers), gaits that are tried first in place of random ones; see `gait_fit`.
    """

    def __init__(
        self, spaces: Spaces, seed: int, wanted: int, limit: int, gaits: Sequence[Array] = ()
    ) -> None:
        if spaces.fingers is None:
            raise ValueError("a gait needs an object with an error")
        self._fingers, self._seed = spaces.fingers, seed
        self._wanted, self._limit, self._given = wanted, limit, list(gaits)
        self._joints = max(spaces.fingers.joint) + 1
        self._tried: list[_Tried] = []
        self._repeated: Array | None = None
        self._failures = 0  # of the repeated gait
        self._begun = self._improved = 0  # number of the episode
        self.found: list[Episode] = []
        """Strictly successful episodes of the gait that had the most of them."""
        self._successes: list[Episode] = []  # of the newest gait that had any

    @property
    def succeeded(self) -> bool:
        """Whether there are enough demonstrations."""
        return len(self.found) >= self._wanted

    @property
    def ended(self) -> bool:
        """Whether there are enough demonstrations, or the episodes are used up."""
        return self.succeeded or self.episodes >= self._limit

    @property
    def episodes(self) -> int:
        """Number of episodes so far."""
        return len(self._tried)

    @property
    def best_cost(self) -> float:
        """Lowest cost of an episode, in units of the cost of doing nothing; 1 before the first."""
        return min((tried.cost for tried in self._tried), default=1.0)

    def policy(self, version: int) -> GaitPolicy:
        """Return the gait of the next episode."""
        return self._gait(self._next()[0], version)

    def best(self, version: int) -> GaitPolicy:
        """Return the best gait so far; before the first episode the one to be tried first."""
        if not self._tried:
            return self.policy(version)
        best = self._ranked(self._tried)[0][0] if self._repeated is None else self._repeated
        return self._gait(best, version)

    def tell(self, episode: Episode) -> None:
        """Take the episode of the gait that `policy` returned."""
        numbers, random = self._next()
        errors = episode.trajectory.errors
        start = max(abs(float(errors[0])), 0.5)
        cost = float(np.abs(errors).mean() + 3 * last_fifth(errors).mean()) / (4 * start)
        away = float(np.sign(errors[0]) * (errors[-1] - errors[0]))
        helped = episode.intervention_rate > 0  # it says nothing about the gait
        lowest = min((tried.cost for tried in self._tried[self._begun :]), default=np.inf)
        self._tried.append(_Tried(numbers, 1.0 if helped else cost, random and away > WRONG))
        if helped:
            return
        if cost < PROGRESS * lowest or episode.outcome.solved:
            self._improved = self.episodes
        elif self.episodes - self._improved >= PATIENCE:
            self._begun = self._improved = self.episodes
        if episode.outcome.solved:
            if self._repeated is None:
                self._repeated, self._failures, self._successes = numbers, 0, []
            self._successes.append(episode)
            if len(self._successes) >= len(self.found):
                self.found = self._successes
        elif self._repeated is not None:
            self._failures += 1
            if self._failures > len(self._successes) // SUCCESSES_PER_FAILURE:  # it was luck
                self._repeated = None

    def _next(self) -> tuple[Array, bool]:
        """Return the numbers of the next gait, and whether they are random."""
        if self._repeated is not None:
            return self._repeated, False
        rng = np.random.default_rng((self._seed, STREAM, self.episodes))
        tried = self._tried[self._begun :]
        if self.episodes < len(self._given):
            return self._given[self.episodes], False
        if tried and tried[-1].wrong:
            return self._backwards(tried[-1].numbers), False
        random_gaits = 0 if self._given and not self._begun else RANDOM_GAITS
        if len(tried) < random_gaits or rng.uniform() < RANDOM:
            return self._draw(rng), True
        pool = tried if len(tried) < APART else self._tried
        return self._child(self._ranked(pool)[:PARENTS], rng), False

    def _child(self, parents: Sequence[tuple[Array, float]], rng: np.random.Generator) -> Array:
        """Return a changed gait, maybe with some joints of another one."""
        joints = self._joints
        numbers, cost = parents[min(int(rng.exponential(PRESSURE)), len(parents) - 1)]
        child = numbers.copy()
        if rng.uniform() < EXCHANGED:
            other, _ = parents[int(rng.integers(len(parents)))]
            group = np.array_split(np.arange(joints), GROUPS)[int(rng.integers(GROUPS))]
            taken = np.concatenate([group + part * joints for part in range(3)])
            child[taken] = other[taken]
        spread = np.repeat([0.4, 0.4, 0.5, 0.4, 0.25], [joints, joints, joints, 1, 1])
        changed = rng.uniform(size=len(child)) < CHANGED
        changed[rng.integers(len(child))] |= not changed.any()
        step = np.clip(STEP * cost, *STEPS)
        steps: Array = changed * step * spread * rng.standard_normal(len(child))
        return child + steps

    def _backwards(self, numbers: Array) -> Array:
        """Return the gait whose motion from the same phase on is that of the other one back."""
        joints, back = self._joints, numbers.copy()
        back[2 * joints : 3 * joints] = 1.0 - numbers[2 * joints : 3 * joints]
        back[-1] = -numbers[-1]
        return back

    def _ranked(self, every: Sequence[_Tried]) -> list[tuple[Array, float]]:
        """Return the gaits, those with the lowest mean cost first, and their mean costs."""
        costs: dict[bytes, list[float]] = {}
        for tried in every:
            costs.setdefault(tried.numbers.tobytes(), []).append(tried.cost)
        mean = sorted((float(np.mean(each)), gait) for gait, each in costs.items())
        return [(np.frombuffer(gait), cost) for cost, gait in mean]

    def _draw(self, rng: np.random.Generator) -> Array:
        """Draw the numbers of a random gait."""
        low, high = FREQUENCIES
        parts: Sequence[Array] = (
            rng.normal(0.0, 0.4, self._joints),  # offsets, before a hyperbolic tangent
            rng.uniform(0.3, 1.0, self._joints),  # amplitudes
            rng.uniform(-1.0, 1.0, self._joints),  # leads, half turns
            np.log(rng.uniform(low, high, 1)),  # frequency, Hz
            rng.uniform(-0.5, 0.5, 1),  # delay from one finger to the next, turns
        )
        return np.concatenate(parts)

    def _gait(self, numbers: Array, version: int) -> GaitPolicy:
        fingers, count = self._fingers, self._joints
        joint = np.array(fingers.joint)
        offset, amplitude, lead = numbers[: 3 * count].reshape(3, count)[:, joint]
        frequency, delay = np.clip(np.exp(numbers[-2]), *LIMITS), numbers[-1]
        return GaitPolicy(
            offset=np.tanh(offset),
            amplitude=np.minimum(np.abs(amplitude), 1.2),
            lead=np.pi * lead + 2 * np.pi * delay * np.array(fingers.finger),
            speed=float(2 * np.pi * frequency * fingers.period),
            error=fingers.error,
            deviation=0.0,
            version=version,
        )
