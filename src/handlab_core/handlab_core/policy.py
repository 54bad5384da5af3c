"""A Gaussian policy in numpy: what a robot needs in order to act, without a learning library."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from handlab_core.errors import BadRun, LayoutMismatch
from handlab_core.suite import AnyTask
from handlab_core.types import Array

Layout = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class GaussianPolicy:
    """A tanh network for the mean and one standard deviation per action.

    mean = W_k tanh(... tanh(W_0 ((obs - shift) / scale) + b_0)) + b_k
    """

    weights: tuple[Array, ...]  # (in, out) each
    biases: tuple[Array, ...]  # (out,) each
    log_std: Array  # (A,)
    shift: Array  # (O,)
    scale: Array  # (O,)
    version: int

    def act(self, observation: Array, noise: Array | None = None) -> Array:
        """Actions (N, A), not clipped, for observations (N, O).

        Args:
            observation: (N, O).
            noise: (N, A), standard normal; None acts with the mean.
        """
        x = (observation - self.shift) / self.scale
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = np.tanh(x @ weight + bias)
        mean = x @ self.weights[-1] + self.biases[-1]
        return mean if noise is None else mean + np.exp(self.log_std) * noise

    def tensors(self) -> dict[str, Array]:
        """All arrays by name, for a safetensors file."""
        named = {"log_std": self.log_std, "shift": self.shift, "scale": self.scale}
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            named |= {f"weight_{i}": weight, f"bias_{i}": bias}
        return {
            name: np.ascontiguousarray(array, dtype=np.float64) for name, array in named.items()
        }

    @classmethod
    def from_tensors(cls, named: Mapping[str, Array], version: int) -> "GaussianPolicy":
        """The inverse of `tensors`.

        Raises:
            BadRun: arrays are missing.
        """
        count = sum(name.startswith("weight_") for name in named)
        expected = {"log_std", "shift", "scale"}
        expected |= {f"{kind}_{i}" for kind in ("weight", "bias") for i in range(max(count, 1))}
        missing = expected - set(named)
        if missing:
            raise BadRun(f"the policy's weights lack {', '.join(sorted(missing))}")
        return cls(
            tuple(named[f"weight_{i}"] for i in range(count)),
            tuple(named[f"bias_{i}"] for i in range(count)),
            named["log_std"],
            named["shift"],
            named["scale"],
            version,
        )


def layout_json(layout: Layout) -> str:
    """A layout as text; two layouts are equal where their texts are."""
    return json.dumps([list(part) for part in layout])


def check_layout(task: AnyTask, layout: str, where: str) -> None:
    """Refuse a policy that reads another observation than the task gives.

    Raises:
        LayoutMismatch: names both layouts.
    """
    if layout != layout_json(task.layout):
        raise LayoutMismatch(
            f"{where} reads the observation {layout}, but task {task.name} gives "
            f"{layout_json(task.layout)}; train a new policy or choose the task it was trained on"
        )
