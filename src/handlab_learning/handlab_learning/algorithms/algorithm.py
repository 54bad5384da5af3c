"""Interface of learning algorithms, and their registry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from torch import Tensor

from handlab_core.environment.episode import Episode
from handlab_core.environment.policies.policy import Policy
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.demonstrations import check_demonstrations


class Demonstrations(Enum):
    """Use of demonstrations by an algorithm."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Algorithm(Protocol):
    """Improves a policy from episodes."""

    config: Any
    """Settings, a frozen dataclass."""

    remembers: bool = False
    """Whether updates use all episodes of the run: a resumed run gives them to `recall`."""

    @property
    def episodes_per_iteration(self) -> int:
        """Number of episodes for each `update`; 0 if it learns from demonstrations only.

        As a rule the setting of this name.
        """
        return int(self.config.episodes_per_iteration)

    @property
    def finished(self) -> bool:
        """Whether learning has ended; as a rule the trainer ends the run."""
        return False

    @property
    def promising(self) -> bool:
        """Whether training episodes give a reason to evaluate the policy when it is due.

        An evaluation takes robot time. Training episodes of a policy that always fails say enough.
        """
        return True

    def policy(self) -> Policy:
        """Return the policy for the next episodes; its version increases with every update."""
        ...

    def result(self) -> Policy:
        """Return the policy to evaluate and to hand out."""
        return self.policy()

    def update_meanwhile(self, enough: Callable[[], bool] = lambda: False) -> dict[str, float]:
        """Make the updates that are due while the next episodes run; return metrics.

        They use earlier episodes only. Learner and robot therefore work at the same time, and a run
        still is a function of its seed.

        Args:
            enough: called about every 0.1 s; True ends the updates early.
        """
        return {}

    def update(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Learn from episodes of the present policy and return metrics."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Return the complete state, from which `load_state_dict` resumes exactly."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a saved state."""
        ...

    def recall(self, episodes: Sequence[Episode]) -> None:
        """Take back the episodes of the run before a resume; see `remembers`."""
        return None


@dataclass(frozen=True)
class Method:
    """Builder of an algorithm."""

    config: type
    """Configuration class."""
    build: Callable[..., Algorithm]
    """Builds the algorithm from spaces, configuration, seed, demonstrations and, if `corrects`, the
    base policy."""
    demonstrations: Demonstrations
    """Use of demonstrations."""
    off_policy: bool = False
    """Whether it learns from actions of others, too."""
    corrects: bool = False
    """Whether it corrects the actions of a base policy, which stays as it is."""
    simulation_only: bool = False
    """Whether it needs so many episodes that only simulations can run them: hundreds of worlds,
    reset by placing the object, without the limit of robot-hours that holds for robots."""


ALGORITHMS: dict[str, Method] = {}
"""Algorithms by name."""


def algorithm(name: str, method: Method) -> None:
    """Register an algorithm; raise KeyError if the name is taken."""
    if name in ALGORITHMS:
        raise KeyError(f"algorithm {name!r} is already defined")
    ALGORITHMS[name] = method


def make_algorithm(
    name: str,
    spaces: Spaces,
    config: Any,
    seed: int,
    demonstrations: Sequence[Episode] = (),
    base: Policy | None = None,
) -> Algorithm:
    """Build the algorithm called `name` for a task of these sizes.

    Raises:
        UnknownName: there is none; the message lists the algorithms.
        BadConfig: the algorithm corrects a base policy, and there is none.
        BadDemonstrations: required demonstrations are missing, or have other sizes.
    """
    method = ALGORITHMS[known_algorithm(name)]
    if method.demonstrations is Demonstrations.REQUIRED or demonstrations:
        check_demonstrations(demonstrations, spaces)
    if not method.corrects:
        return method.build(spaces, config, seed, demonstrations)
    if base is None:
        raise BadConfig(f"{name} corrects a base policy: name one with --base")
    return method.build(spaces, config, seed, demonstrations, base)


def known_algorithm(name: str) -> str:
    """Return the name of an algorithm; raise UnknownName if there is none of that name."""
    if name not in ALGORITHMS:
        raise UnknownName("algorithm", name, ALGORITHMS)
    return name
