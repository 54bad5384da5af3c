"""Policies in numpy: a robot acts without a learning library."""

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from handlab_core.errors import BadRun, LayoutMismatch, shown
from handlab_core.tasks.learnable import Layout, LearnableTask
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array

LARGEST, LEAST_SCALE = 1e9, 1e-9
"""Largest weight and smallest scale of an observation; beyond them the sums of the network
overflow. Trained policies stay below 100 and above 1e-6."""

LOG_STD = (-40.0, 10.0)
"""Range of the logarithm of a standard deviation; cloned policies reach -27.6."""


class Policy(Protocol):
    """Computes actions; `policy_kinds` lists the kinds."""

    @property
    def version(self) -> int:
        """Version; two policies of a run with the same version are the same."""
        ...

    def begin(self) -> "Policy":
        """Return the policy for a new attempt at an episode, without memory of another one."""
        ...

    def act(self, observation: Array, noise: Array | None = None) -> Array:
        """Return actions (N, A), not clipped, for observations (N, O).

        Args:
            observation: (N, O).
            noise: (N, A), rows of `noise`; None: act without noise.
        """
        ...

    def noise(self, rng: np.random.Generator, steps: int) -> Array:
        """Draw the exploration noise of one episode, (steps, A), of variance 1.

        The policy defines how it depends on time.
        """
        ...

    def tensors(self) -> dict[str, Array]:
        """Return all arrays by name, for a safetensors file; see `policy_kinds`."""
        ...


@dataclass(frozen=True)
class NetworkTensors:
    """Layers of a policy's network, and the normalisation of its input, as named arrays."""

    weights: tuple[Array, ...]  # (in, out) each
    biases: tuple[Array, ...]  # (out,) each
    shift: Array  # (O,)
    scale: Array  # (O,)

    def named(self) -> dict[str, Array]:
        """Return all arrays by name, in double precision."""
        named = {"shift": self.shift, "scale": self.scale}
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            named |= {f"weight_{i}": weight, f"bias_{i}": bias}
        return in_double(named)

    @classmethod
    def read(
        cls,
        named: Mapping[str, Array],
        spaces: Spaces,
        outputs: int,
        further: Mapping[str, tuple[int, ...]],
        where: str,
    ) -> "tuple[NetworkTensors, dict[str, Array]]":
        """Check the arrays of a policy; return its network, and the further arrays.

        Args:
            named: arrays by name.
            spaces: sizes of the observation and of the action.
            outputs: number of outputs of the network.
            further: names and shapes of further arrays of this kind of policy.
            where: the policy's name in messages.

        Raises:
            BadRun: an array is missing or unknown, or of another type or shape than the task needs,
                or a value is not finite or out of bounds; names the array.
        """
        count = sum(name.startswith("weight_") for name in named)
        expected = {"shift", "scale", *further}
        expected |= {f"{kind}_{i}" for kind in ("weight", "bias") for i in range(max(count, 1))}
        check_names(named, expected, "policy", where)
        shapes = _shapes(named, count, spaces.observation, outputs) | dict(further)
        arrays = checked_tensors(named, shapes, where)
        network = cls(
            tuple(arrays[f"weight_{i}"] for i in range(count)),
            tuple(arrays[f"bias_{i}"] for i in range(count)),
            arrays["shift"],
            arrays["scale"],
        )
        return network, {name: arrays[name] for name in further}


@dataclass(frozen=True)
class GaussianPolicy:
    """Tanh network for the mean, and one standard deviation per action.

    mean = W_k tanh(... tanh(W_0 ((obs - shift) / scale) + b_0)) + b_k
    """

    weights: tuple[Array, ...]  # (in, out) each
    biases: tuple[Array, ...]  # (out,) each
    log_std: Array  # (A,)
    shift: Array  # (O,)
    scale: Array  # (O,)
    version: int

    def begin(self) -> "GaussianPolicy":
        """See `Policy.begin`; this kind has no memory."""
        return self

    def act(self, observation: Array, noise: Array | None = None) -> Array:
        """See `Policy.act`; the noise is standard normal, and None gives the mean."""
        x = (observation - self.shift) / self.scale
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = np.tanh(x @ weight + bias)
        mean = x @ self.weights[-1] + self.biases[-1]
        return mean if noise is None else mean + np.exp(self.log_std) * noise

    def noise(self, rng: np.random.Generator, steps: int) -> Array:
        """See `Policy.noise`; every step has noise of its own."""
        return rng.standard_normal((steps, len(self.log_std)))

    def tensors(self) -> dict[str, Array]:
        """See `Policy.tensors`."""
        network = NetworkTensors(self.weights, self.biases, self.shift, self.scale)
        return network.named() | in_double({"log_std": self.log_std})

    @classmethod
    def from_tensors(
        cls, named: Mapping[str, Array], version: int, spaces: Spaces, where: str = "the policy"
    ) -> "GaussianPolicy":
        """Build a policy from the arrays of `tensors`; see `policy_kinds.policy_from_tensors`."""
        further = {"log_std": (spaces.action,)}
        network, rest = NetworkTensors.read(named, spaces, spaces.action, further, where)
        return cls(
            network.weights,
            network.biases,
            rest["log_std"],
            network.shift,
            network.scale,
            version,
        )


def _shapes(
    named: Mapping[str, Array], count: int, inputs: int, outputs: int
) -> dict[str, tuple[int, ...]]:
    """Return the required shape of each array; biases define the widths of hidden layers."""
    shapes: dict[str, tuple[int, ...]] = {"shift": (inputs,), "scale": (inputs,)}
    for i in range(count):
        width = outputs if i == count - 1 else named[f"bias_{i}"].size
        shapes |= {f"weight_{i}": (inputs, width), f"bias_{i}": (width,)}
        inputs = width
    return shapes


def in_double(named: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """Return arrays in double precision, each in one piece of memory, as safetensors needs them."""
    return {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in named.items()}


def check_names(named: Mapping[str, Array], expected: Set[str], kind: str, where: str) -> None:
    """Check that a policy has exactly the arrays of its kind.

    Args:
        named: arrays by name.
        expected: names of the kind's arrays.
        kind: the kind in messages.
        where: the policy's name in messages.

    Raises:
        BadRun: an array is missing or unknown; names it.
    """
    if missing := expected - named.keys():
        raise BadRun(f"{where} lacks {', '.join(sorted(missing))}; train it again")
    if strange := named.keys() - expected:
        raise BadRun(f"{where} has {shown(min(strange))}, which no {kind} has; train it again")


def checked_tensors(
    named: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], where: str
) -> dict[str, Array]:
    """Return arrays by name, in the order of their required shapes; see `checked_tensor`."""
    return {
        name: checked_tensor(named[name], shape, f"{name} of {where}")
        for name, shape in shapes.items()
    }


def checked_tensor(array: Array, shape: tuple[int, ...], name: str) -> Array:
    """Return an array in double precision; raise BadRun if it cannot be part of a policy."""
    if array.dtype not in (np.float32, np.float64):
        raise BadRun(f"{name} is of type {array.dtype}; it must be float64: train the policy again")
    if array.shape != shape:
        raise BadRun(f"{name} has shape {array.shape}; the task needs {shape}")
    least, most = LOG_STD if name.startswith("log_std") else (-LARGEST, LARGEST)
    least = LEAST_SCALE if name.startswith("scale") else least
    good = (array >= least) & (array <= most)
    if not good.all():
        raise BadRun(
            f"{name} holds {array[~good][0]}; values can be {least:g} to {most:g}: "
            "train the policy again"
        )
    return np.asarray(array, dtype=np.float64)


def checked_elements(array: Array, spaces: Spaces, name: str) -> tuple[int, ...]:
    """Return elements of an observation; raise BadRun if one is none."""
    numbers = checked_tensor(array, (array.size,), name)
    for number in numbers:
        if number not in range(spaces.observation):
            raise BadRun(
                f"{name} holds {number:g}; there are elements 0 to {spaces.observation - 1}: train "
                "the policy again"
            )
    return tuple(int(number) for number in numbers)


def layout_json(layout: Layout) -> str:
    """Return a layout as text; equal layouts have equal texts."""
    return json.dumps([list(part) for part in layout])


def check_layout(task: LearnableTask, layout: str, where: str) -> None:
    """Reject a policy with another observation than the task's.

    Raises:
        LayoutMismatch: names both layouts.
    """
    if layout != layout_json(task.layout):
        raise LayoutMismatch(
            f"{where} reads the observation {layout}, but task {task.name} gives "
            f"{layout_json(task.layout)}; train a new policy or choose the task it was trained on"
        )
