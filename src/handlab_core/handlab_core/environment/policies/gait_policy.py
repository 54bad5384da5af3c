"""Gait with feedback in numpy: joints swing until the object is at its goal."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from handlab_core.environment.noise import PINK, colored_noise
from handlab_core.environment.policies.policy import check_names, checked_tensors, in_double
from handlab_core.errors import BadRun
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array

SLOWER, STOP, SLOWEST = 0.3, 0.05, 0.15
"""rad, error below which the gait slows down in proportion; rad, error at which it holds still;
smallest fraction of the full speed. Best among some variants on the valve."""

OFFSET = "gait_offset"
"""Name of a tensor that only this kind of policy has."""


@dataclass
class _Memory:
    """State within one episode, N robots."""

    phase: Array  # (N,) rad
    last: Array  # (N, A), the newest action without noise


@dataclass(frozen=True)
class GaitPolicy:
    """Sinusoidal targets for each joint; the phase follows the error of the object.

    action = clip(offset + amplitude sin(phase + lead), -1, 1)

    The phase increases while the angle is below the goal, and decreases while it is above. At the
    goal the last action is held.
    """

    offset: Array  # (A,)
    amplitude: Array  # (A,)
    lead: Array  # (A,) rad
    speed: float  # rad per step; negative: the gait that turns the object back
    error: int  # element of an observation: angle of the object minus the goal [rad]
    deviation: float  # standard deviation of the exploration noise
    version: int
    _memory: list[_Memory] = field(default_factory=list, compare=False, repr=False)

    def begin(self) -> "GaitPolicy":
        """See `Policy.begin`; the phase begins at 0."""
        return GaitPolicy(
            self.offset, self.amplitude, self.lead, self.speed, self.error, self.deviation,
            self.version,
        )  # fmt: skip

    def act(self, observation: Array, noise: Array | None = None) -> Array:
        """See `Policy.act`; call it once in each step of an episode."""
        error = observation[:, self.error]
        if not self._memory:
            centre = np.clip(np.tile(self.offset, (len(error), 1)), -1.0, 1.0)
            self._memory.append(_Memory(np.zeros(len(error)), centre))
        memory, far = self._memory[0], np.abs(error) >= STOP
        pace = np.where(far, np.clip(np.abs(error) / SLOWER, SLOWEST, 1.0), 0.0)
        memory.phase = memory.phase - np.sign(error) * pace * self.speed
        swing = self.offset + self.amplitude * np.sin(memory.phase[:, None] + self.lead)
        memory.last = np.where(far[:, None], np.clip(swing, -1.0, 1.0), memory.last)
        return memory.last if noise is None else memory.last + self.deviation * noise

    def noise(self, rng: np.random.Generator, steps: int) -> Array:
        """See `Policy.noise`; slow noise moves the hand."""
        return colored_noise(rng, steps, len(self.offset), PINK)

    def tensors(self) -> dict[str, Array]:
        """See `Policy.tensors`."""
        named = {OFFSET: self.offset, "gait_amplitude": self.amplitude, "gait_lead": self.lead}
        named["gait_motion"] = np.array([self.speed, self.error, self.deviation])
        return in_double(named)

    @classmethod
    def from_tensors(
        cls, named: Mapping[str, Array], version: int, spaces: Spaces, where: str = "the policy"
    ) -> "GaitPolicy":
        """Build a policy from the arrays of `tensors`; see `policy_kinds.policy_from_tensors`."""
        size = (spaces.action,)
        shapes = {OFFSET: size, "gait_amplitude": size, "gait_lead": size, "gait_motion": (3,)}
        check_names(named, shapes.keys(), "gait", where)
        offset, amplitude, lead, motion = checked_tensors(named, shapes, where).values()
        speed, error, deviation = (float(number) for number in motion)
        if error not in range(spaces.observation) or deviation < 0:
            raise BadRun(
                f"gait_motion of {where} holds element {error:g} and deviation {deviation:g}; "
                f"there are elements 0 to {spaces.observation - 1}, and a deviation is at "
                "least 0: train the policy again"
            )
        return cls(offset, amplitude, lead, speed, int(error), deviation, version)
