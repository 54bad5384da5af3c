"""Time-varying linear-Gaussian controllers in numpy; the nearest of several acts in an episode."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from handlab_core.environment.hold import NOWHERE, Hold
from handlab_core.environment.noise import colored_noise
from handlab_core.environment.policies.policy import (
    check_names,
    checked_elements,
    checked_tensors,
    in_double,
)
from handlab_core.errors import BadRun
from handlab_core.tasks.sizes import Spaces, StateForm
from handlab_core.types import Array, IntArray

GAIN = "linear_gain"
"""Name of a tensor that only this kind of policy has."""

STEEPEST = 4.0
"""Largest exponent of the noise's spectrum."""


@dataclass
class _Memory:
    """State within one episode, N robots."""

    chosen: IntArray  # (N,), controller of each robot
    clock: IntArray  # (N,), number of actions so far without those of a hold
    before: Array  # (N, O), observation of the step before
    last: Array  # (N, A), newest action without noise


@dataclass(frozen=True)
class LinearPolicy:
    """Acts with one of M controllers of T steps.

        action = clip(K_t x_t + k_t + L_t noise, -1, 1)

    The state x is made of the present and the last observation; see `StateForm`. The controller
    whose first observation is nearest acts during the whole episode. After the last step its last
    gains stay. At the goal it holds its last action, and its steps do not count.
    """

    gain: Array  # (M, T, A, X), K
    offset: Array  # (M, T, A), k
    factor: Array  # (M, T, A, A), L; Cholesky factor of the covariance of the action
    starts: Array  # (M, O), first observation of each controller's episodes
    form: StateForm
    noise_exponent: float  # power spectrum of the noise over an episode: 1/f^exponent
    version: int
    hold: Hold = NOWHERE
    _memory: list[_Memory] = field(default_factory=list, compare=False, repr=False)

    def begin(self) -> "LinearPolicy":
        """See `Policy.begin`; the first step follows."""
        return LinearPolicy(
            self.gain, self.offset, self.factor, self.starts, self.form, self.noise_exponent,
            self.version, self.hold,
        )  # fmt: skip

    def nearest(self, observation: Array) -> IntArray:
        """Return the controllers nearest to first observations (N, O), (N,)."""
        away = np.square(observation[:, None] - self.starts).sum(axis=2)
        nearest: IntArray = away.argmin(axis=1)
        return nearest

    def act(self, observation: Array, noise: Array | None = None) -> Array:
        """See `Policy.act`; call it once in each step of an episode."""
        still = self.hold.at(observation)
        if not self._memory:
            count, still = len(observation), np.zeros(len(observation), dtype=bool)
            first = np.zeros((count, self.offset.shape[2]))
            clock = np.zeros(count, dtype=np.int64)
            self._memory.append(_Memory(self.nearest(observation), clock, observation, first))
        memory = self._memory[0]
        state = self.form.state(observation, observation - memory.before)
        t, m = np.minimum(memory.clock, self.offset.shape[1] - 1), memory.chosen
        moved = np.einsum("nax,nx->na", self.gain[m, t], state) + self.offset[m, t]
        action = np.where(still[:, None], memory.last, np.clip(moved, -1.0, 1.0))
        memory.clock, memory.before = memory.clock + ~still, observation
        memory.last = action
        if noise is not None:
            spread = np.einsum("nab,nb->na", self.factor[m, t], noise)
            action = np.where(still[:, None], action, moved + spread)
        clipped: Array = np.clip(action, -1.0, 1.0)
        return clipped

    def noise(self, rng: np.random.Generator, steps: int) -> Array:
        """See `Policy.noise`."""
        return colored_noise(rng, steps, self.offset.shape[2], self.noise_exponent)

    def tensors(self) -> dict[str, Array]:
        """See `Policy.tensors`."""
        named = {
            GAIN: self.gain,
            "linear_offset": self.offset,
            "linear_factor": self.factor,
            "linear_starts": self.starts,
            "linear_elements": np.array(self.form.elements),
            "linear_moving": np.array(self.form.moving),
            "noise_exponent": np.array([self.noise_exponent]),
            "linear_hold": self.hold.numbers,
        }
        return in_double(named)

    @classmethod
    def from_tensors(
        cls, named: Mapping[str, Array], version: int, spaces: Spaces, where: str = "the policy"
    ) -> "LinearPolicy":
        """Build a policy from the arrays of `tensors`; see `policy_kinds.policy_from_tensors`."""
        names = {
            GAIN, "linear_offset", "linear_factor", "linear_starts", "linear_elements",
            "linear_moving", "noise_exponent", "linear_hold",
        }  # fmt: skip
        check_names(named, names, "linear policy", where)
        form = StateForm(
            checked_elements(named["linear_elements"], spaces, f"linear_elements of {where}"),
            checked_elements(named["linear_moving"], spaces, f"linear_moving of {where}"),
        )
        count, steps = (*named["linear_offset"].shape, 1, 1)[:2]
        a, several = spaces.action, (max(count, 1), max(steps, 1))
        shapes = {
            GAIN: (*several, a, form.size),
            "linear_offset": (*several, a),
            "linear_factor": (*several, a, a),
            "linear_starts": (several[0], spaces.observation),
            "noise_exponent": (1,),
            "linear_hold": (2,),
        }
        arrays = checked_tensors(named, shapes, where)
        gain, offset, factor, starts, exponent, numbers = arrays.values()
        if not 0.0 <= exponent[0] <= STEEPEST:
            raise BadRun(
                f"noise_exponent of {where} is {exponent[0]:g}; it can be 0 to {STEEPEST:g}: train "
                "the policy again"
            )
        hold = Hold.read(numbers, spaces, f"linear_hold of {where}")
        return cls(gain, offset, factor, starts, form, float(exponent[0]), version, hold)
