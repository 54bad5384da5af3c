"""Model-predictive control in numpy: a policy that plans with an ensemble of learned models.

Nagabandi, Konolige, Levine and Kumar, "Deep dynamics models for learning dexterous manipulation"
(PDDM), CoRL 2019, arXiv:1909.11652: model-predictive path integral control with noise that is
filtered over time. In each step

    n_t   = beta e_t + (1 - beta) n_t-1,   e_t ~ N(0, std^2)          samples around the last plan
    R     = mean over the models of the predicted sum of rewards
    plan  = sum of exp(kappa R) (plan + n) / sum of exp(kappa R)
    act with the plan's first action; shift the plan by a step
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from handlab_core.environment.policies.policy import (
    check_names,
    checked_elements,
    checked_tensor,
    checked_tensors,
    in_double,
)
from handlab_core.errors import BadConfig, BadRun
from handlab_core.tasks.sizes import ObservedReward, Spaces, StateForm
from handlab_core.types import Array

PLANNER = "planner"
"""Name of a tensor that only this kind of policy has."""

PLANNER_SEED = 20190911
"""Seed of the samples of every episode: a plan depends on the observations alone."""

LEAST_SPREAD = 1e-6
"""Spread of the sampled returns below which all samples count alike."""

Single = NDArray[np.float32]
"""Models compute in single precision: a plan takes a step's time, and models are rough."""


@dataclass(frozen=True)
class Planner:
    """Settings of the planner."""

    horizon: int  # steps
    samples: int
    kappa: float  # inverse temperature, in standard deviations of the sampled returns
    beta: float  # weight of new noise in the filtered noise; 1: white
    std: float  # standard deviation of the filtered noise


@dataclass(frozen=True)
class DynamicsEnsemble:
    """E networks that predict the change of an observation's elements during a step.

    change = out_shift + out_scale net(((state, action) - shift) / scale), rectifiers between layers
    """

    weights: tuple[Single, ...]  # (E, in, out) each
    biases: tuple[Single, ...]  # (E, out) each
    shift: Single  # (X + A,)
    scale: Single  # (X + A,)
    out_shift: Single  # (elements,)
    out_scale: Single  # (elements,)

    @property
    def members(self) -> int:
        """Number of networks, E."""
        return len(self.biases[0])

    def changes(self, inputs: Single) -> Single:
        """Return changes (E, B, elements) for states and actions (E, B, X + A)."""
        x: Single = (inputs - self.shift) / self.scale
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight + bias[:, None]
            if i < last:
                np.maximum(x, 0.0, out=x)
        return self.out_shift + self.out_scale * x

    def named(self) -> dict[str, Array]:
        """Return all arrays by name, in double precision."""
        named = {
            "shift": self.shift, "scale": self.scale, "out_shift": self.out_shift,
            "out_scale": self.out_scale,
        }  # fmt: skip
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            named |= {f"weight_{i}": weight, f"bias_{i}": bias}
        return in_double(named)


@dataclass
class _Memory:
    """State within one episode, N robots."""

    plans: Array  # (N, horizon, A)
    before: Array  # (N, O), observation of the step before
    rng: np.random.Generator  # draws the samples


@dataclass(frozen=True)
class PlanningPolicy:
    """Plans in every step; the task's reward is a function of the predicted observations."""

    models: DynamicsEnsemble
    planner: Planner
    form: StateForm
    actions: int  # size of an action, A
    reward: ObservedReward = field(compare=False)
    version: int
    _memory: list[_Memory] = field(default_factory=list, compare=False, repr=False)

    def begin(self) -> "PlanningPolicy":
        """See `Policy.begin`; the first plan is the middle of the range."""
        return PlanningPolicy(
            self.models, self.planner, self.form, self.actions, self.reward, self.version
        )

    def act(self, observation: Array, noise: Array | None = None) -> Array:
        """See `Policy.act`; call it once in each step of an episode. Noise is not used."""
        if not self._memory:
            count = len(observation)
            plans = np.zeros((count, self.planner.horizon, self.actions))
            rng = np.random.default_rng(PLANNER_SEED)
            self._memory.append(_Memory(plans, observation, rng))
        memory = self._memory[0]
        change, samples = observation - memory.before, self._samples(memory.rng)
        for robot, plan in enumerate(memory.plans):
            memory.plans[robot] = self.improved(plan, observation[robot], change[robot], samples)
        action = memory.plans[:, 0].copy()
        memory.plans[:, :-1] = memory.plans[:, 1:]  # the last action stays
        memory.before = observation
        return action

    def _samples(self, rng: np.random.Generator) -> Array:
        """Draw the filtered noise of one step, (H, samples, A), the same for all robots."""
        planner = self.planner
        noise = rng.standard_normal((planner.horizon, planner.samples, self.actions))
        for t in range(1, planner.horizon):
            noise[t] = planner.beta * noise[t] + (1 - planner.beta) * noise[t - 1]
        return noise

    def improved(self, plan: Array, observation: Array, change: Array, noise: Array) -> Array:
        """Return a better plan (H, A) for one robot.

        Args:
            plan: (H, A), around which plans are sampled.
            observation: (O,).
            change: (O,), of the observation during the last step.
            noise: (H, samples, A), of the samples, of variance about 1.
        """
        planner = self.planner
        sampled = np.clip(plan[:, None] + planner.std * noise, -1.0, 1.0)
        returns = self.returns(sampled, observation, change)
        spread = max(float(returns.std()), LEAST_SPREAD)
        weights = np.exp(planner.kappa * (returns - returns.max()) / spread)
        better: Array = np.einsum("n,hna->ha", weights / weights.sum(), sampled)
        return better

    def returns(self, plans: Array, observation: Array, change: Array) -> Array:
        """Return the predicted sum of rewards of plans, the mean over the models, (B,).

        Args:
            plans: (H, B, A).
            observation: (O,).
            change: (O,), of the observation during the last step.
        """
        form, size = self.form, len(observation)
        moving = [form.elements.index(element) for element in form.moving]
        count = plans.shape[1]
        first = form.state(observation, change).astype(np.float32)
        state = np.broadcast_to(first, (self.models.members, count, len(first)))
        total = np.zeros(count)
        for actions in plans.astype(np.float32):
            given = np.broadcast_to(actions, (len(state), *actions.shape))
            changes = self.models.changes(np.concatenate((state, given), axis=2))
            elements = state[:, :, : len(form.elements)] + changes
            state = np.concatenate((elements, changes[:, :, moving]), axis=2)
            total += self.reward(*form.split(state.astype(np.float64), size)).mean(axis=0)
        return total

    def noise(self, rng: np.random.Generator, steps: int) -> Array:
        """See `Policy.noise`; the planner explores by what its models do not know."""
        return np.zeros((steps, self.actions))

    def tensors(self) -> dict[str, Array]:
        """See `Policy.tensors`."""
        p = self.planner
        named = {
            PLANNER: np.array([p.horizon, p.samples, p.kappa, p.beta, p.std]),
            "planner_elements": np.array(self.form.elements),
            "planner_moving": np.array(self.form.moving),
        }
        return self.models.named() | in_double(named)

    @classmethod
    def from_tensors(
        cls, named: Mapping[str, Array], version: int, spaces: Spaces, where: str = "the policy"
    ) -> "PlanningPolicy":
        """Build a policy from the arrays of `tensors`; see `policy_kinds.policy_from_tensors`.

        Raises:
            BadConfig: the task's reward is not a function of the observation.
        """
        if spaces.reward is None:
            raise BadConfig(f"{where} plans with the task's reward, which observations do not give")
        count = sum(name.startswith("weight_") for name in named)
        layers = {f"{kind}_{i}" for kind in ("weight", "bias") for i in range(max(count, 1))}
        own = {PLANNER, "planner_elements", "planner_moving"}
        expected = {"shift", "scale", "out_shift", "out_scale", *own, *layers}
        check_names(named, expected, "planner", where)
        form = StateForm(
            checked_elements(named["planner_elements"], spaces, f"planner_elements of {where}"),
            checked_elements(named["planner_moving"], spaces, f"planner_moving of {where}"),
        )
        if not set(form.moving) <= set(form.elements):
            raise BadRun(f"planner_moving of {where} holds elements that are not predicted")
        planner = _planner(checked_tensor(named[PLANNER], (5,), f"{PLANNER} of {where}"), where)
        members = (*named["bias_0"].shape, 1)[0]
        inputs, outputs = form.size + spaces.action, len(form.elements)
        shapes: dict[str, tuple[int, ...]] = {"shift": (inputs,), "scale": (inputs,)}
        shapes |= {"out_shift": (outputs,), "out_scale": (outputs,)}
        for i in range(count):
            width = outputs if i == count - 1 else (1, *named[f"bias_{i}"].shape)[-1]
            shapes |= {f"weight_{i}": (members, inputs, width), f"bias_{i}": (members, width)}
            inputs = width
        arrays = {
            name: array.astype(np.float32)
            for name, array in checked_tensors(named, shapes, where).items()
        }
        models = DynamicsEnsemble(
            tuple(arrays[f"weight_{i}"] for i in range(count)),
            tuple(arrays[f"bias_{i}"] for i in range(count)),
            *(arrays[name] for name in ("shift", "scale", "out_shift", "out_scale")),
        )
        return cls(models, planner, form, spaces.action, spaces.reward, version)


MOST_SAMPLES, LONGEST_HORIZON = 100_000, 1000
"""Bounds of a planner; beyond them a plan takes minutes."""


def _planner(numbers: Array, where: str) -> Planner:
    """Read the planner's settings; raise BadRun if one is impossible."""
    horizon, samples, kappa, beta, std = (float(number) for number in numbers)
    whole = horizon % 1 == 0 and samples % 1 == 0
    bounded = 1 <= horizon <= LONGEST_HORIZON and 1 <= samples <= MOST_SAMPLES
    if not (whole and bounded and kappa > 0 and 0 < beta <= 1 and std > 0):
        raise BadRun(
            f"{PLANNER} of {where} holds {', '.join(f'{n:g}' for n in numbers)}; horizon and "
            "samples are whole numbers, the rest is above 0 and beta at most 1: train the policy "
            "again"
        )
    return Planner(int(horizon), int(samples), kappa, beta, std)
