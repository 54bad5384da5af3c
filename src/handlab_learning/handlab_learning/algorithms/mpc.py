"""Model-predictive control with an ensemble of learned models (PDDM; arXiv:1909.11652).

    run random motions, then repeat:
    fit E networks to all transitions of the run     x' = x + f(x, u)
    run episodes that plan with them in every step   `policies.planning_policy` of the core

One model of the whole task, where `local_models` has one for each step of one motion. The planner
needs the task's reward as a function of the observation.
"""

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from handlab_core.environment.episode import Episode
from handlab_core.environment.policies.planning_policy import Planner, PlanningPolicy
from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.policies.random_motion import RandomMotion
from handlab_core.errors import BadConfig
from handlab_core.system.validation import Count, Fraction, Positive, checked
from handlab_core.tasks.sizes import ObservedReward, Spaces
from handlab_learning.algorithms.algorithm import Algorithm, Demonstrations, Method, algorithm
from handlab_learning.models.dynamics_network import DynamicsNetwork
from handlab_learning.models.policy_network import Widths

FIT_STREAM = 12
"""Number of the random stream of the minibatches of a fit."""


@checked
class MpcConfig:
    """Settings; those with the source PDDM are its D'Claw configuration."""

    members: Annotated[Count, Field(le=16)] = 3
    """Number of networks; PDDM."""
    hidden: Widths = (250, 250)
    """Widths of the hidden layers; PDDM."""
    horizon: Annotated[Count, Field(le=100)] = 7
    """Steps that a plan looks ahead; PDDM."""
    samples: Annotated[Count, Field(le=10_000)] = 700
    """Plans that are sampled in a step; PDDM."""
    random_episodes: Annotated[Count, Field(le=100_000)] = 50
    """Episodes of random motions before the first fit; PDDM."""
    episodes_per_fit: Annotated[Count, Field(le=100_000)] = 20
    """Episodes between two fits; PDDM."""
    kappa: Positive = 10.0
    """Inverse temperature of the planner, in standard deviations of the sampled returns."""
    beta: Annotated[Fraction, Field(gt=0)] = 0.7
    """Weight of new noise in the filtered noise of sampled plans."""
    planner_std: Annotated[Positive, Field(le=10)] = 0.5
    """Standard deviation of the noise before the filter."""
    motion_std: Annotated[Positive, Field(le=1)] = 0.6
    """Standard deviation of random motions."""
    shortest_period: Annotated[Count, Field(ge=2, le=1000)] = 6
    """Steps; shortest period of random motions."""
    longest_period: Annotated[Count, Field(le=1000)] = 20
    """Steps; longest period of random motions."""
    epochs: Annotated[Count, Field(le=10_000)] = 30
    """Passes through all transitions at each fit."""
    batch: Count = 256
    """Size of a minibatch of each network."""
    rate: Positive = 1e-3
    """Learning rate of Adam; PDDM."""

    def __post_init__(self) -> None:
        """Check the combination."""
        if self.shortest_period > self.longest_period:
            raise BadConfig(
                f"shortest_period is {self.shortest_period}; it must be at most longest_period, "
                f"{self.longest_period}"
            )


class Mpc(Algorithm):
    """Learns the dynamics of the task, and plans with them."""

    remembers = True

    def __init__(
        self, spaces: Spaces, config: MpcConfig, seed: int, _: Sequence[Episode] = ()
    ) -> None:
        if spaces.reward is None:
            raise BadConfig(
                "mpc plans with the reward as a function of the observation, which this task has "
                "not: choose another algorithm"
            )
        torch.set_num_threads(1)  # the networks are too small for more to help
        torch.manual_seed(seed)
        self.config, self._spaces, self._seed = config, spaces, seed
        self._reward: ObservedReward = spaces.reward
        self._form = spaces.state_form
        inputs = self._form.size + spaces.action
        sizes = inputs, *config.hidden, len(self._form.elements)
        self.net = DynamicsNetwork(config.members, sizes)
        self._episodes: list[Episode] = []
        self._iteration = self._fits = 0

    @property
    def episodes_per_iteration(self) -> int:
        """Greatest common divisor of the episodes before the first fit and between fits."""
        return gcd(self.config.random_episodes, self.config.episodes_per_fit)

    def policy(self) -> Policy:
        """Return the planner; before the first fit, random motions."""
        config, spaces = self.config, self._spaces
        if not self._fits:
            periods = config.shortest_period, config.longest_period
            return RandomMotion.of_task(spaces, config.motion_std, periods, self._iteration)
        planner = Planner(
            config.horizon, config.samples, config.kappa, config.beta, config.planner_std
        )
        models = self.net.to_numpy()
        return PlanningPolicy(
            models, planner, self._form, spaces.action, self._reward, self._iteration
        )

    def update(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Remember the episodes, and fit the models when it is due."""
        self._iteration += 1
        self.recall(episodes)
        made = self._iteration * self.episodes_per_iteration
        late = made - self.config.random_episodes
        if late < 0 or late % self.config.episodes_per_fit or not self._episodes:
            return {"fits": float(self._fits)}
        metrics = self._fit()
        self._fits += 1
        return metrics | {"fits": float(self._fits)}

    def recall(self, episodes: Sequence[Episode]) -> None:
        """See `Algorithm.recall`."""
        self._episodes += episodes

    def _fit(self) -> dict[str, float]:
        """Fit the networks to all transitions, each in an order of its own."""
        config, elements = self.config, list(self._form.elements)
        paths = [episode.trajectory for episode in self._episodes]
        states = np.concatenate([self._form.states(p.observations)[:-1] for p in paths])
        actions = np.concatenate([np.clip(p.actions, -1.0, 1.0) for p in paths])
        inputs = np.concatenate((states, actions), axis=1)
        changes = np.concatenate([np.diff(p.observations[:, elements], axis=0) for p in paths])
        self.net.set_units(inputs, changes)
        x, y = (torch.tensor(array, dtype=torch.float32) for array in (inputs, changes))
        rng = np.random.default_rng((self._seed, FIT_STREAM, self._iteration))
        optimiser = torch.optim.Adam(self.net.parameters(), lr=config.rate)
        error = torch.zeros(config.members)
        for _ in range(config.epochs):
            orders = np.stack([rng.permutation(len(x)) for _ in range(config.members)])
            for rows in torch.split(torch.tensor(orders), config.batch, dim=1):
                error = self.net.error(x[rows], y[rows])
                optimiser.zero_grad()
                error.sum().backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        return {"model_error": float(error.detach().mean()), "transitions": float(len(x))}

    def state_dict(self) -> dict[str, Tensor]:
        """See `Algorithm.state_dict`; episodes are not part of the state."""
        return self.net.state_dict() | {"counts": torch.tensor([self._iteration, self._fits])}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See `Algorithm.load_state_dict`."""
        self._iteration, self._fits = (int(count) for count in state["counts"])
        self.net.load_state_dict({n: tensor for n, tensor in state.items() if n != "counts"})


algorithm("mpc", Method(MpcConfig, Mpc, demonstrations=Demonstrations.NONE))
