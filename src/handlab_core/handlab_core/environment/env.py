"""The environment: one `step` for learning, evaluation, robot and simulation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handlab_core.demonstrations.action_inference import (
    DEFAULT_INFERENCE,
    INFERENCES,
    Travel,
)
from handlab_core.environment.station import LocalStation, ResetResult, Station, start_request
from handlab_core.errors import BadConfig
from handlab_core.system import batch
from handlab_core.tasks import Task
from handlab_core.types import (
    Array,
    BoolArray,
    Goal,
    IntArray,
    JointState,
    ObjectEstimate,
    Reward,
    Sample,
)


@dataclass(frozen=True, slots=True)
class Step:
    """Result of one step; the reward is requested separately."""

    observation: Array  # (N, O)
    terminated: BoolArray  # (N,) the task ended the episode; always False so far
    truncated: BoolArray  # (N,) the time of the episode is over
    sample: Sample


class Env:
    """N robots that do one task in step.

    Args:
        task: the task.
        station: the robots; closed with the environment.
        teleport: reset by placing hand and object; simulation only.
    """

    def __init__(self, task: Task, station: Station, teleport: bool = False) -> None:
        self.task, self.station, self.teleport = task, station, teleport
        self.hand = task.hand
        self.num_envs = station.num_envs
        self._infer = INFERENCES[DEFAULT_INFERENCE]
        self._state: _EpisodeState | None = None

    def reset(
        self, seed: int | Sequence[int], episodes: IntArray, robots: IntArray | None = None
    ) -> tuple[Array, ResetResult]:
        """Begin episodes and return the first observations, one row for each of `robots`.

        Args:
            seed: seed of the run, or one seed for each robot.
            episodes: number of each robot's episode.
            robots: robots to reset; the others do not change, also in time. None: all.

        Raises:
            BadConfig: only some robots, although no episode has begun or the robots of the station
                cannot be stepped apart.
        """
        request = start_request(self.task, seed, episodes, self.teleport)
        if robots is None:
            result = self.station.reset(request)
        else:
            self._some()
            result = self._apart().reset(request, robots)
        left = np.full(len(episodes), self.task.steps)
        action = self._first_action(len(episodes))
        new = _EpisodeState(result.goal, left, action, action)
        self._state = new if robots is None else batch.put(self._some(), robots, new)
        return self._observe(result.hand, result.object, new), result

    def step(self, action: Array, robots: IntArray | None = None) -> Step:
        """Act for one control period.

        Args:
            action: (N, A) in [-1, 1], one row for each of `robots`. Actions are clipped here, and
                filtered if the task has smoothing. An element that is not finite is replaced by
                the last finite one.
            robots: robots to step; the others do not change, also in time. None: all.
        """
        if self._state is None:
            raise RuntimeError("no episode has begun; call reset() first")
        old = self._state if robots is None else batch.take(self._state, robots)
        _check_left(old)
        clipped = np.minimum(np.maximum(action, -1.0), 1.0)  # np.clip takes several times as long
        asked = np.where(np.isfinite(action), clipped, old.asked)
        smooth = self.task.smoothing * old.action + (1.0 - self.task.smoothing) * asked
        new = _EpisodeState(old.goal, old.left - 1, asked, smooth)
        self._state = new if robots is None else batch.put(self._state, robots, new)
        target = self.hand.target(smooth)
        sample = self.station.step(target) if robots is None else self._apart().step(target, robots)
        return self._after(sample, new)

    def let_go(self, hand: JointState, obj: ObjectEstimate) -> tuple[Step, Array]:
        """Release the hands for one control period, so that a person can move them.

        Args:
            hand: present state of the hands.
            obj: present state of the objects.

        Returns:
            The step, and the actions (N, A) that would have moved the engaged hands in the same
            way; see `handlab_core.demonstrations.action_inference`.
        """
        old = self._some()
        _check_left(old)
        sample = self.station.let_go()
        q = np.stack((hand.q, sample.hand.q), axis=1)
        angle = np.stack((obj.angle, sample.object.angle), axis=1)
        moved = [
            self._infer(self.hand, self.task.fixture, Travel(*motion, self.task.period))[0]
            for motion in zip(q, angle, strict=True)
        ]
        keep = self.task.smoothing
        wanted = (self.hand.normalise(np.stack(moved)) - keep * old.action) / (1.0 - keep)
        action = np.clip(wanted, -1.0, 1.0)
        smooth = keep * old.action + (1.0 - keep) * action
        self._state = new = _EpisodeState(old.goal, old.left - 1, action, smooth)
        return self._after(sample, new), action

    def reward(self, step: Step, robots: IntArray | None = None) -> Reward:
        """Return the reward of one of the newest two steps; see `Station.reward`."""
        if robots is None:
            return self.station.reward(step.sample)
        return self._apart().reward(step.sample, robots)

    def close(self) -> None:
        """Close the station."""
        self.station.close()

    def _some(self) -> "_EpisodeState":
        """Return the state of the running episodes; raise BadConfig if none has begun."""
        if self._state is None:
            raise BadConfig("before some robots are reset alone, reset all of them once")
        return self._state

    def _apart(self) -> LocalStation:
        """Return the station; raise BadConfig if its robots cannot be stepped apart."""
        if not isinstance(self.station, LocalStation):
            raise BadConfig("robots are reset and stepped apart in this process's simulation only")
        return self.station

    def _first_action(self, robots: int) -> Array:
        """Return the action before the first: zero, or with smoothing the pose after a reset."""
        if not self.task.smoothing:
            return np.zeros((robots, self.hand.n))
        return np.tile(self.hand.normalise(self.hand.nominal), (robots, 1))

    def _observe(self, hand: JointState, obj: ObjectEstimate, state: "_EpisodeState") -> Array:
        return self.task.observe(self.hand, hand, obj, state.goal, state.action)

    def _after(self, sample: Sample, state: "_EpisodeState") -> Step:
        """Return the step that led to a sample."""
        observation = self._observe(sample.hand, sample.object, state)
        never = np.zeros(state.left.shape, dtype=bool)
        return Step(observation, never, state.left == 0, sample)


@dataclass(frozen=True, slots=True)
class _EpisodeState:
    """State of the running episodes of N robots."""

    goal: Goal
    left: IntArray  # (N,) number of steps until the time is over
    asked: Array  # (N, A) newest finite action
    action: Array  # (N, A) newest action after smoothing


def _check_left(state: _EpisodeState) -> None:
    if (state.left <= 0).any():
        raise RuntimeError("the episode is over; call reset() first")
