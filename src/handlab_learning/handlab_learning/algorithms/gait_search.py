"""Search for a gait that solves a task: the robot finds demonstrations of its own.

Random gaits come first. A gait that turns the object the wrong way is tried backwards. Later ones
are mutations of the best one, as in a (1+1) evolution strategy with restarts (Rechenberg, 1973). A
gait that succeeds is repeated, and each success is a demonstration. Constants without a source: the
best median of eight seeds on the valve.
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

PATIENCE = 25
"""Episodes without a lower cost or a success after which the search begins again at random."""

RANDOM_GAITS, BACKWARDS = 6, 12
"""Gaits before the first mutation; gaits of which those that turn the wrong way are repeated."""

POOR, FAIR = 0.8, 0.4
"""Costs, in units of the cost of a hand that does nothing: above the first one no gait is worth a
mutation; below the second one few gaits are random."""

RANDOM_ABOVE, RANDOM_BELOW = 0.3, 0.1
"""Part of random gaits among the mutations, above and below the cost FAIR."""

WRONG = 0.6
"""rad; a gait that moves the object this far away from the goal is tried backwards."""

FREQUENCIES = 0.5, 1.6
"""Hz, range of random gaits."""

LIMITS = 0.3, 2.0
"""Hz, range of all gaits."""

STEP, STEPS = 1.2, (0.15, 0.6)
"""Standard deviation of a mutation, in units of the spread of random gaits, for each unit of the
best cost; its range. A gait that nearly succeeds needs small steps."""


@dataclass(frozen=True)
class _Tried:
    numbers: Array
    direction: int  # 1 or -1
    cost: float
    wrong: bool  # the object moved away from the goal


class GaitSearch:
    """Proposes gaits, one an episode, and collects the successful episodes.

    All of it depends on the seed and on the episodes in their order, so that a resumed run needs
    the episodes only.

    Args:
        spaces: sizes of the task; its `fingers` must be known.
        seed: of the run.
        wanted: number of demonstrations of one gait after which the search ends.
        limit: number of episodes after which the search ends.
    """

    def __init__(self, spaces: Spaces, seed: int, wanted: int, limit: int) -> None:
        if spaces.fingers is None:
            raise ValueError("a gait needs an object with an error")
        self._fingers, self._seed = spaces.fingers, seed
        self._wanted, self._limit = wanted, limit
        self._joints = max(spaces.fingers.joint) + 1
        self._tried: list[_Tried] = []
        self._repeated: tuple[Array, int] | None = None
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
        numbers, direction = self._next()
        return self._gait(numbers, direction, version)

    def best(self, version: int) -> GaitPolicy:
        """Return the best gait so far; before the first episode the one to be tried first."""
        if not self._tried:
            return self.policy(version)
        numbers, direction = self._repeated or self._best(self._tried)[:2]
        return self._gait(numbers, direction, version)

    def tell(self, episode: Episode) -> None:
        """Take the episode of the gait that `policy` returned."""
        numbers, direction = self._next()
        errors = episode.trajectory.errors
        start = max(abs(float(errors[0])), 0.5)
        cost = float(np.abs(errors).mean() + 3 * last_fifth(errors).mean()) / (4 * start)
        away = float(np.sign(errors[0]) * (errors[-1] - errors[0]))
        helped = episode.intervention_rate > 0  # it says nothing about the gait
        lowest = min((tried.cost for tried in self._tried[self._begun :]), default=np.inf)
        self._tried.append(_Tried(numbers, direction, 1.0 if helped else cost, away > WRONG))
        if helped:
            return
        if cost < lowest or episode.outcome.solved:
            self._improved = self.episodes
        elif self.episodes - self._improved >= PATIENCE:
            self._begun = self._improved = self.episodes
        if episode.outcome.solved:
            if self._repeated is None:
                self._repeated, self._failures, self._successes = (numbers, direction), 0, []
            self._successes.append(episode)
            if len(self._successes) >= len(self.found):
                self.found = self._successes
        elif self._repeated is not None:
            self._failures += 1
            if self._failures > len(self._successes) // SUCCESSES_PER_FAILURE:  # it was luck
                self._repeated = None

    def _next(self) -> tuple[Array, int]:
        if self._repeated is not None:
            return self._repeated
        rng = np.random.default_rng((self._seed, STREAM, self.episodes))
        tried = self._tried[self._begun :]
        count = len(tried)
        if tried:
            last = tried[-1]
            if last.wrong and last.direction == 1 and count < BACKWARDS:
                return last.numbers, -1
        best = min((each.cost for each in tried), default=1.0)
        random = RANDOM_ABOVE if best > FAIR else RANDOM_BELOW
        if count < RANDOM_GAITS or best > POOR or rng.uniform() < random:
            return self._draw(rng), 1
        numbers, direction, cost = self._best(tried)
        joints = self._joints
        spread = np.repeat([0.4, 0.4, 0.5, 0.4, 0.25], [joints, joints, joints, 1, 1])
        step = np.clip(STEP * cost, *STEPS)
        return numbers + step * spread * rng.standard_normal(len(spread)), direction

    def _best(self, every: Sequence[_Tried]) -> tuple[Array, int, float]:
        """Return the gait with the lowest cost, the mean of its episodes, and that cost."""
        costs: dict[tuple[bytes, int], list[float]] = {}
        for tried in every:
            costs.setdefault((tried.numbers.tobytes(), tried.direction), []).append(tried.cost)
        mean = {gait: float(np.mean(each)) for gait, each in costs.items()}
        numbers, direction = min(mean, key=lambda gait: mean[gait])
        return np.frombuffer(numbers), direction, mean[numbers, direction]

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

    def _gait(self, numbers: Array, direction: int, version: int) -> GaitPolicy:
        fingers, count = self._fingers, self._joints
        joint = np.array(fingers.joint)
        offset, amplitude, lead = numbers[: 3 * count].reshape(3, count)[:, joint]
        frequency, delay = np.clip(np.exp(numbers[-2]), *LIMITS), numbers[-1]
        return GaitPolicy(
            offset=np.tanh(offset),
            amplitude=np.minimum(np.abs(amplitude), 1.2),
            lead=np.pi * lead + 2 * np.pi * delay * np.array(fingers.finger),
            speed=float(2 * np.pi * frequency * fingers.period * direction),
            error=fingers.error,
            deviation=0.0,
            version=version,
        )
