"""Stations: hand, object, estimator, reward and reset behind one interface.

`LocalStation` runs them in this process. `handlab_nodes.clients.graph_station` has the same
interface to a graph of nodes and, in lockstep, gives the same numbers bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from handlab_core.errors import ResetFailed
from handlab_core.estimation.estimator_table import ENCODER, ESTIMATORS
from handlab_core.hardware.backend import Backend
from handlab_core.reset.procedure import FAILED, ResetProcedure, ResetTick
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.safety.emergency_stop import simulated_hands
from handlab_core.system import batch
from handlab_core.tasks import Task
from handlab_core.types import (
    Array,
    Command,
    Goal,
    IntArray,
    JointState,
    ObjectEstimate,
    Reading,
    Reward,
    Sample,
)


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """Start of the next episode of each robot."""

    episode: IntArray  # (N,)
    object_angle: Array  # (N,) rad
    goal_angle: Array  # (N, g) rad
    goal_velocity: Array  # (N, g) rad/s
    teleport: bool = False  # place hand and object; simulation only


@dataclass(frozen=True, slots=True)
class ResetResult:
    """State at the end of a reset."""

    hand: JointState
    object: ObjectEstimate
    goal: Goal  # valid from the state's stamp on
    duration: Array  # (N,) s; robot time of the reset
    attempts: IntArray  # (N,)


class Station(Protocol):
    """N robots that advance together, one control period per step."""

    num_envs: int

    def reset(self, request: ResetRequest) -> ResetResult:
        """Bring every robot to the start of an episode.

        Raises:
            ResetFailed: a robot could not be reset; names its joints.
            HandWarm: a hand must cool first.
            HandStopped: the hand is released; `await_engaged` must follow.
        """
        ...

    def step(self, q: Array) -> Sample:
        """Send position targets [rad], (N, n), and return hand and object one period later.

        Raises:
            HandWarm: the step was made; `rest` must follow.
            HandStopped: the hand is released; `await_engaged` must follow.
        """
        ...

    def reward(self, sample: Sample) -> Reward:
        """Return the reward of one of the newest two states of this episode.

        No action depends on the reward. Another process may therefore compute it during the next
        step. A caller that requests the reward of the step before after each step rarely waits,
        and notices a lost reward.
        """
        ...

    def let_go(self, hold: float = 0.0) -> Sample:
        """Release the hands for one control period, so that they can be guided; else as `step`.

        Args:
            hold: N m; effort with which joints resist a motion.
        """
        ...

    def rest(self) -> float:
        """Release the hands until they have cooled; return the robot time [s]."""
        ...

    def await_engaged(self) -> None:
        """Wait until a person has engaged the hands again, after HandStopped."""
        ...

    def temperatures(self) -> Array:
        """Return the temperatures of the joints, (N, n) degrees Celsius; NaN where unknown."""
        ...

    def close(self) -> None:
        """Release all resources."""
        ...


def start_request(
    task: Task, seed: int | Sequence[int], episodes: IntArray, teleport: bool = False
) -> ResetRequest:
    """Draw the starts of episodes; `seed` is the seed of the run, or one seed for each robot."""
    seeds = [seed] * len(episodes) if isinstance(seed, int) else seed
    starts = [task.start(own, int(n)) for own, n in zip(seeds, episodes, strict=True)]
    return ResetRequest(
        np.asarray(episodes, dtype=np.int64),
        np.array([start.object_angle for start in starts]),
        np.array([start.goal_angle for start in starts]),
        np.array([start.goal_velocity for start in starts]),
        teleport,
    )


class LocalStation:
    """A station in this process, on any backend.

    Args:
        task: defines hand, object, reward and reset.
        backend: the robots.
        estimator: a name in `estimation.estimator_table.ESTIMATORS`.
    """

    def __init__(self, task: Task, backend: Backend, estimator: str = ENCODER) -> None:
        self.task, self.num_envs = task, backend.num_envs
        self.hand, self.fixture = task.hand, task.fixture
        self.backend = ClampedBackend(self.hand, self.fixture, backend)
        self.computer = task.reward_computer()
        self._full = np.broadcast_to(self.hand.max_effort, (self.num_envs, self.hand.n))
        make = ESTIMATORS.make(estimator).follower
        self._goal: Goal
        self._followers = [make(self.fixture, i) for i in range(self.num_envs)]
        fixture = backend.read().fixture
        readings = zip(
            self._followers, fixture.stamp.tolist(), fixture.q[:, 0].tolist(), strict=True
        )
        self._estimates = [follower.follow(*reading) for follower, *reading in readings]

    def reset(self, request: ResetRequest, robots: IntArray | None = None) -> ResetResult:
        """See `Station.reset`.

        Args:
            request: starts of the episodes, one row for each of `robots`.
            robots: robots to reset; the others do not change, also in time. None: all.
        """
        which = np.arange(self.num_envs) if robots is None else robots
        began = self.backend.read().hand.stamp[which]
        if request.teleport:
            reading = self.backend.reset(robots, request.object_angle)
            self._estimate(reading.fixture, which.tolist())
            attempts = np.ones(len(which), dtype=np.int64)
        else:
            attempts = self._reset_with_motors(request, which.tolist())
        hand = self.backend.read().hand
        hand = hand if robots is None else batch.take(hand, robots)
        goal = Goal(request.episode, hand.stamp, request.goal_angle, request.goal_velocity)
        self._goal = goal if robots is None else batch.put(self._goal, robots, goal)
        return ResetResult(hand, self._object(robots), goal, hand.stamp - began, attempts)

    def step(self, q: Array, robots: IntArray | None = None) -> Sample:
        """See `Station.step`; with `robots`, `q` has one row for each of them."""
        if robots is None:
            return self._sample(Command(q, self._full))
        reading = self._advance(Command(q, self._full[robots]), None, robots.tolist())
        return Sample(reading.hand, self._object(robots))

    def let_go(self, hold: float = 0.0) -> Sample:
        """See `Station.let_go`."""
        q = self.backend.read().hand.q
        return self._sample(Command(q, np.full_like(q, hold)))

    def reward(self, sample: Sample, robots: IntArray | None = None) -> Reward:
        """See `Station.reward`; with `robots`, the sample has one row for each of them."""
        goal = self._goal if robots is None else batch.take(self._goal, robots)
        return self.computer.compute(sample.hand, sample.object, goal)

    def rest(self) -> float:
        """See `Station.rest`; simulated hands do not heat."""
        return 0.0

    def await_engaged(self) -> None:
        """See `Station.await_engaged`."""
        simulated_hands.wait()

    def temperatures(self) -> Array:
        """See `Station.temperatures`."""
        return np.full((self.num_envs, self.hand.n), np.nan)

    def close(self) -> None:
        """Close the backend."""
        self.backend.close()

    def _reset_with_motors(self, request: ResetRequest, robots: Sequence[int]) -> IntArray:
        resets = [self.task.make_reset(float(angle)) for angle in request.object_angle]
        ticks = self.drive(resets, robots)
        for i, reset, tick in zip(robots, resets, ticks, strict=True):
            if tick.stage == FAILED:
                raise ResetFailed(f"the reset of robot {i} gave up", reset.failed_joints)
        return np.array([reset.attempt for reset in resets])

    def drive(
        self, resets: Sequence[ResetProcedure], robots: Sequence[int] | None = None
    ) -> list[ResetTick]:
        """Run a reset on each of `robots` (None: all) until each has ended, with success or not.

        Returns:
            The last tick of each reset.
        """
        robots = range(self.num_envs) if robots is None else robots
        of = dict(zip(robots, resets, strict=True))
        ticks: dict[int, ResetTick] = {}
        active = list(robots)
        while active:
            reading = self.backend.read()
            for i in active:
                ticks[i] = of[i].tick(batch.take(reading, [i]), self.task.period)
            active = [i for i in active if not ticks[i].ended]
            if active:
                hand = batch.stack([ticks[i].hand for i in active])
                fixture = batch.stack([ticks[i].fixture for i in active])
                self._advance(hand, fixture, active)
        return [ticks[i] for i in robots]

    def _sample(self, command: Command) -> Sample:
        hand = self._advance(command, None, range(self.num_envs)).hand
        return Sample(hand, self._object())

    def _advance(self, hand: Command, fixture: Command | None, robots: Sequence[int]) -> Reading:
        """Step some robots, update their estimates, and return their reading."""
        some = None if len(robots) == self.num_envs else np.array(robots)
        reading = self.backend.step(hand, fixture, self.task.period, some)
        self._estimate(reading.fixture, robots)
        return reading

    def _estimate(self, fixture: JointState, robots: Sequence[int]) -> None:
        readings = zip(robots, fixture.stamp.tolist(), fixture.q[:, 0].tolist(), strict=True)
        for i, stamp, angle in readings:
            self._estimates[i] = self._followers[i].follow(stamp, angle)

    def _object(self, robots: IntArray | None = None) -> ObjectEstimate:
        chosen = self._estimates if robots is None else [self._estimates[i] for i in robots]
        estimates = [(e.stamp, e.angle, e.velocity) for e in chosen]
        return ObjectEstimate(*np.array(estimates).T.copy())
