"""Correct a frozen base policy by a bounded amount, with the learner of `rlpd`.

    a = clip(b + bound * c, -1, 1),    b = clip(base(s), -1, 1),    c ~ pi(. | s, b) in [-1, 1]

The base policy may be a clone, a gait, a policy from simulation or from another task. It is never
changed: the correction repairs what differs on this robot. The critics learn the value of the
action a; actor and critics observe b, too, because a gait's action depends on more than the
observation. Sources:

- a policy of corrections that begins at zero (Silver et al., arXiv:1812.06298; Johannink et al.,
  arXiv:1812.03201),
- off-policy learning with critics of the whole action, which are warmed up first (ResFiT; Ankile et
  al., arXiv:2509.19301),
- corrections of the actions of a real hand in minutes (HandelBot; Xie et al., arXiv:2603.12243).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from handlab_core.environment.episode import Episode
from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.policies.residual_policy import base_action, with_correction
from handlab_core.errors import BadConfig
from handlab_core.system.validation import Count, Flag, Index, Positive, checked
from handlab_core.tasks.sizes import Spaces, Symmetry
from handlab_core.types import Array
from handlab_learning.algorithms.algorithm import Algorithm, Demonstrations, Method, algorithm
from handlab_learning.algorithms.rlpd import Rlpd, RlpdConfig
from handlab_learning.models.residual_actor import ResidualActor


@checked
class ResidualConfig(RlpdConfig):
    """Settings; those of `rlpd`, some with other defaults."""

    bound: Annotated[Positive, Field(le=1)] = 0.3
    """Largest correction, in units of half the commanded range of a joint. 0.05 to 0.1 in ResFiT's
    published configurations, whose clones need a polish; a worn joint needs more."""
    correction_std: Annotated[Positive, Field(le=1)] = 0.2
    """First standard deviation of the correction, in units of the bound. ResFiT explores with 0.05
    in units of actions."""
    symmetries: Flag = False
    """False: the needed correction is seldom the same for all fingers."""
    temperature: Positive = 0.002
    """Initial temperature; that of a cloned policy in `rlpd`."""
    first_episodes: Count = 3
    """Episodes before the first update; they show the critics what the base policy is worth."""
    critic_warm_up: Index = 1000
    """Updates of the critics before the first correction; 10,000 in ResFiT's configurations."""

    def __post_init__(self) -> None:
        """Check that the base policy is where learning begins."""
        super().__post_init__()
        for name in ("own_demonstrations", "hindsight_episodes", "other_goals"):
            if getattr(self, name):
                raise BadConfig(
                    f"{name} is {getattr(self, name)}; it must be 0, because learning begins with "
                    "the base policy"
                )


def with_base_actions(episode: Episode, base: Policy) -> Episode:
    """Return an episode whose observations contain the base policy's action at their end."""
    acting, path = base.begin(), episode.trajectory
    actions: list[Array] = [base_action(acting, row[None]) for row in path.observations]
    observations = np.concatenate((path.observations, np.concatenate(actions)), axis=1)
    return replace(episode, trajectory=replace(path, observations=observations))


def _widened(spaces: Spaces) -> Spaces:
    """Return the sizes with the base policy's action as a part of the observation."""
    symmetries = tuple(
        Symmetry(
            (*symmetry.observation, *(spaces.observation + i for i in symmetry.action)),
            symmetry.action,
        )
        for symmetry in spaces.symmetries
    )
    return replace(with_correction(spaces), symmetries=symmetries)


def residual(
    spaces: Spaces,
    config: ResidualConfig,
    seed: int,
    demonstrations: Sequence[Episode],
    base: Policy,
) -> Algorithm:
    """Build the learner of corrections of a base policy."""

    def make_actor() -> ResidualActor:
        return ResidualActor(spaces, config.hidden, base, config.bound, config.correction_std)

    def observed(episode: Episode) -> Episode:
        return with_base_actions(episode, base)

    shown = [observed(episode) for episode in demonstrations]
    return Rlpd(_widened(spaces), config, seed, shown, make_actor, observed)


algorithm(
    "residual",
    Method(ResidualConfig, residual, Demonstrations.OPTIONAL, off_policy=True, corrects=True),
)
