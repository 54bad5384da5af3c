"""What the trainer needs of a learning algorithm."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from handlab_core.episode import Episode
from handlab_core.errors import UnknownName
from handlab_core.policy import GaussianPolicy
from handlab_core.tasks import Task


class Algorithm(Protocol):
    """Episodes in, a better policy out."""

    config: Any
    """A frozen dataclass; `episodes_per_iteration` among its fields."""

    def policy(self) -> GaussianPolicy:
        """The present policy; its version counts the updates."""
        ...

    def update(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Learn from episodes of the present policy and return what to log."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that `load_state_dict` needs to go on as if nothing had happened."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a saved state."""
        ...


ALGORITHMS: dict[str, tuple[type, Callable[[Task, Any, int], Algorithm]]] = {}
"""Name to configuration class and builder (task, configuration, seed)."""


def algorithm(config: type, build: Callable[[Task, Any, int], Algorithm], name: str) -> None:
    """Register an algorithm; a taken name raises KeyError."""
    if name in ALGORITHMS:
        raise KeyError(f"algorithm {name!r} is already defined")
    ALGORITHMS[name] = (config, build)


def make_algorithm(name: str, task: Task, config: Any, seed: int) -> Algorithm:
    """Build the algorithm called `name` for a task.

    Raises:
        UnknownName: there is none; the message lists what there is.
    """
    return ALGORITHMS[known_algorithm(name)][1](task, config, seed)


def known_algorithm(name: str) -> str:
    """Return the name if there is such an algorithm, else raise UnknownName."""
    if name not in ALGORITHMS:
        raise UnknownName("algorithm", name, ALGORITHMS)
    return name
