"""The environment: the only `step` there is, for learning, evaluation, robot and simulation."""

from dataclasses import dataclass

import numpy as np

from handlab_core.station import ResetResult, Station, start_request
from handlab_core.tasks import Task
from handlab_core.types import Array, IntArray, JointState, ObjectEstimate, Reward, Sample


@dataclass(frozen=True, slots=True)
class Step:
    """What one step gave; its reward is asked for apart."""

    observation: Array  # (N, O)
    terminated: bool  # the task is over; the tasks so far never are
    truncated: bool  # the time is over
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
        self.worlds = station.worlds
        self._left = 0

    def reset(self, seed: int, episodes: IntArray) -> tuple[Array, ResetResult]:
        """Begin episodes, one per robot, and return the first observations (N, O)."""
        request = start_request(self.task, seed, episodes, self.teleport)
        result = self.station.reset(request)
        self._goal, self._left = result.goal, self.task.steps
        self._asked = self._action = self._first_action()
        return self._observe(result.hand, result.object), result

    def step(self, action: Array) -> Step:
        """Act for one control period.

        Args:
            action: (N, A) in [-1, 1]; clipped there, and made smooth if the task says so. Where it
                is not finite what was asked last holds.
        """
        if self._left <= 0:
            raise RuntimeError("the episode is over; call reset() first")
        clipped = np.clip(action, -1.0, 1.0)
        self._asked = np.where(np.isfinite(action), clipped, self._asked)
        kept = self.task.smoothing * self._action
        self._action = kept + (1.0 - self.task.smoothing) * self._asked
        sample = self.station.step(self.hand.target(self._action))
        self._left -= 1
        observation = self._observe(sample.hand, sample.object)
        return Step(observation, False, self._left == 0, sample)

    def reward(self, step: Step) -> Reward:
        """The reward of a step, of this episode's newest two; see `Station.reward`."""
        return self.station.reward(step.sample)

    def close(self) -> None:
        """Close the station."""
        self.station.close()

    def _first_action(self) -> Array:
        """What counts as the action before the first: none, or what the hand does after a reset."""
        if not self.task.smoothing:
            return np.zeros((self.worlds, self.hand.n))
        return np.tile(self.hand.normalise(self.hand.nominal), (self.worlds, 1))

    def _observe(self, hand: JointState, obj: ObjectEstimate) -> Array:
        return self.task.observe(self.hand, hand, obj, self._goal, self._action)
