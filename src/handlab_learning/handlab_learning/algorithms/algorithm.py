"""What the trainer needs of a learning algorithm."""

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
    """Episodes in, a better policy out."""

    config: Any
    """A frozen dataclass."""

    @property
    def episodes_per_iteration(self) -> int:
        """How many `update` is given; none, if it learns from demonstrations alone."""
        ...

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to learn."""
        ...

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


@dataclass(frozen=True)
class Method:
    """How an algorithm is made."""

    config: type
    """Its configuration class."""
    build: Callable[[Spaces, Any, int, Sequence[Episode]], Algorithm]
    """From spaces, configuration, seed and demonstrations."""
    demonstrations: bool
    """Whether it learns from demonstrations; if not, it is given none."""


ALGORITHMS: dict[str, Method] = {}
"""By name."""


def algorithm(name: str, method: Method) -> None:
    """Register an algorithm; a taken name raises KeyError."""
    if name in ALGORITHMS:
        raise KeyError(f"algorithm {name!r} is already defined")
    ALGORITHMS[name] = method


def make_algorithm(
    name: str, spaces: Spaces, config: Any, seed: int, demonstrations: Sequence[Episode] = ()
) -> Algorithm:
    """Build the algorithm called `name` for a task of these sizes.

    Raises:
        UnknownName: there is none; the message lists what there is.
        BadDemonstrations: it needs some and there are none, or they are of other sizes.
    """
    method = ALGORITHMS[known_algorithm(name)]
    if method.demonstrations:
        check_demonstrations(demonstrations, spaces)
    return method.build(spaces, config, seed, demonstrations)


def known_algorithm(name: str) -> str:
    """Return the name if there is such an algorithm, else raise UnknownName."""
    if name not in ALGORITHMS:
        raise UnknownName("algorithm", name, ALGORITHMS)
    return name
