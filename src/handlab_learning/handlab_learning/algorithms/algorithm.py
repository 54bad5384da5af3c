"""Interface of learning algorithms, and their registry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from handlab_core.environment.episode import Episode
from handlab_core.environment.policy import GaussianPolicy
from handlab_core.errors import UnknownName
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.demonstrations import check_demonstrations


class Algorithm(Protocol):
    """Improves a policy from episodes."""

    config: Any
    """Settings, a frozen dataclass."""

    @property
    def episodes_per_iteration(self) -> int:
        """Number of episodes for each `update`; 0 if it learns from demonstrations only."""
        ...

    @property
    def finished(self) -> bool:
        """Whether learning has ended."""
        ...

    def policy(self) -> GaussianPolicy:
        """Return the present policy; its version counts the updates."""
        ...

    def update(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Learn from episodes of the present policy and return metrics."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Return the complete state, from which `load_state_dict` resumes exactly."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a saved state."""
        ...


@dataclass(frozen=True)
class Method:
    """Builder of an algorithm."""

    config: type
    """Configuration class."""
    build: Callable[[Spaces, Any, int, Sequence[Episode]], Algorithm]
    """Builds the algorithm from spaces, configuration, seed and demonstrations."""
    demonstrations: bool
    """Whether the algorithm learns from demonstrations."""


ALGORITHMS: dict[str, Method] = {}
"""Algorithms by name."""


def algorithm(name: str, method: Method) -> None:
    """Register an algorithm; raise KeyError if the name is taken."""
    if name in ALGORITHMS:
        raise KeyError(f"algorithm {name!r} is already defined")
    ALGORITHMS[name] = method


def make_algorithm(
    name: str, spaces: Spaces, config: Any, seed: int, demonstrations: Sequence[Episode] = ()
) -> Algorithm:
    """Build the algorithm called `name` for a task of these sizes.

    Raises:
        UnknownName: there is none; the message lists the algorithms.
        BadDemonstrations: required demonstrations are missing, or have other sizes.
    """
    method = ALGORITHMS[known_algorithm(name)]
    if method.demonstrations:
        check_demonstrations(demonstrations, spaces)
    return method.build(spaces, config, seed, demonstrations)


def known_algorithm(name: str) -> str:
    """Return the name of an algorithm; raise UnknownName if there is none of that name."""
    if name not in ALGORITHMS:
        raise UnknownName("algorithm", name, ALGORITHMS)
    return name
