"""The environment: the only `step` there is, for learning, evaluation, robot and simulation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handlab_core import batch
from handlab_core.environment.station import LocalStation, ResetResult, Station, start_request
from handlab_core.errors import BadConfig
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
    """What one step gave; its reward is asked for apart."""

    observation: Array  # (N, O)
    terminated: BoolArray  # (N,) the task is over; the tasks so far never are
    truncated: BoolArray  # (N,) the time is over
    sample: Sample


class Env:
    """N robots doing one task in step.

    Args:
        task: what is to be done.
        station: what does it; closed with the environment.
        teleport: reset by placing everything at once; simulation only.
    """

    def __init__(self, task: Task, station: Station, teleport: bool = False) -> None:
        self.task, self.station, self.teleport = task, station, teleport
        self.hand = task.hand
        self.num_envs = station.num_envs
        self._state: _EpisodeState | None = None

    def reset(
        self, seed: int | Sequence[int], episodes: IntArray, robots: IntArray | None = None
    ) -> tuple[Array, ResetResult]:
        """Begin episodes and return the first observations, one row for each of `robots`.

        Args:
            seed: of the run, or one for each robot.
            episodes: number of each robot's episode.
            robots: which robots; the others stay as they are, in time too. None: all.

        Raises:
            BadConfig: some robots only, where no episode has begun or the station has one robot.
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
            action: one row for each of `robots`, (N, A) in [-1, 1]; clipped there, and made smooth
                if the task says so. Where it is not finite what was asked last holds.
            robots: which robots; the others stay as they are, in time too. None: all.
        """
        if self._state is None:
            raise RuntimeError("no episode has begun; call reset() first")
        old = self._state if robots is None else batch.take(self._state, robots)
        if (old.left <= 0).any():
            raise RuntimeError("the episode is over; call reset() first")
        asked = np.where(np.isfinite(action), np.clip(action, -1.0, 1.0), old.asked)
        smooth = self.task.smoothing * old.action + (1.0 - self.task.smoothing) * asked
        new = _EpisodeState(old.goal, old.left - 1, asked, smooth)
        self._state = new if robots is None else batch.put(self._state, robots, new)
        target = self.hand.target(smooth)
        sample = self.station.step(target) if robots is None else self._apart().step(target, robots)
        observation = self._observe(sample.hand, sample.object, new)
        return Step(observation, np.zeros_like(new.left, dtype=bool), new.left == 0, sample)

    def reward(self, step: Step, robots: IntArray | None = None) -> Reward:
        """The reward of a step, of this episode's newest two; see `Station.reward`."""
        if robots is None:
            return self.station.reward(step.sample)
        return self._apart().reward(step.sample, robots)

    def close(self) -> None:
        """Close the station."""
        self.station.close()

    def _some(self) -> "_EpisodeState":
        """Return the state of the running episodes, in which some robots are replaced."""
        if self._state is None:
            raise BadConfig("before some robots are reset alone, reset all of them once")
        return self._state

    def _apart(self) -> LocalStation:
        """Return the station, if its robots can be stepped apart."""
        if not isinstance(self.station, LocalStation):
            raise BadConfig("robots are reset and stepped apart in this process's simulation only")
        return self.station

    def _first_action(self, robots: int) -> Array:
        """What counts as the action before the first: none, or what the hand does after a reset."""
        if not self.task.smoothing:
            return np.zeros((robots, self.hand.n))
        return np.tile(self.hand.normalise(self.hand.nominal), (robots, 1))

    def _observe(self, hand: JointState, obj: ObjectEstimate, state: "_EpisodeState") -> Array:
        return self.task.observe(self.hand, hand, obj, state.goal, state.action)


@dataclass(frozen=True, slots=True)
class _EpisodeState:
    """Running episodes of N robots."""

    goal: Goal
    left: IntArray  # (N,) steps until the time is over
    asked: Array  # (N, A) newest finite action
    action: Array  # (N, A) the same after smoothing
