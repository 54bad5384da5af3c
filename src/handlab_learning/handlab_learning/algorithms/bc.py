"""Behaviour cloning, the first phase of DAPG (Rajeswaran et al., arXiv:1709.10087, section V).

    maximise  sum over demonstrations of log pi(a|s)

With a fixed standard deviation this minimises the mean squared error of the mean action. The
network may be normalised by the statistics of the demonstrations, and the standard deviation of
their actions defines the exploration noise (hand_dapg/dapg/examples/job_script.py, mjrl's
algos/behavior_cloning.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import field

import numpy as np
import torch
from torch import Tensor

from handlab_core.environment.episode import Episode
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.system.validation import Count, Flag, NotNegative, Positive, checked
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.algorithm import Algorithm, Demonstrations, Method, algorithm
from handlab_learning.algorithms.demonstrations import joined
from handlab_learning.models import optimizer_state
from handlab_learning.models.policy_network import (
    LogStd,
    PolicyNet,
    Widths,
    aligned,
    part,
    prefixed,
    spread,
)


@checked
class CloningConfig:
    """Settings: the best ones on the claw; the Adroit suite sets the published ones."""

    epochs: Count = 50
    """Number of passes through the demonstrations; 5 in hand_dapg/dapg/examples/*.txt."""
    batch: Count = 32
    """Size of a minibatch; hand_dapg/dapg/examples/*.txt."""
    rate: Positive = 1e-3
    """Learning rate; hand_dapg/dapg/examples/*.txt."""
    units: Flag = False
    """Whether the network is normalised by the statistics of the demonstrations, as published. On
    the claw this gives a worse policy, because it amplifies inputs that hardly vary."""
    noise_of_demonstrations: Flag = True
    """Whether the exploration noise is derived from the standard deviation of the demonstrated
    actions over all steps."""
    noise: Positive = 0.25
    """Exploration noise as a multiple of that standard deviation; 1 as published, with which the
    claw fails."""
    jitter: NotNegative = 0.2
    """Noise on the observations during cloning, in standard deviations of the observations; 0 as
    published. A few demonstrations cover a few trajectories only, from which a cloned policy drifts
    away. Noise extends the learned actions to their neighbourhood (it regularises the network:
    Bishop, Neural Computation 7, 1995)."""


class Cloning:
    """Fits the mean of a policy to the demonstrated actions, epoch by epoch.

    Args:
        net: changed in place.
        demonstrations: at least one.
        config: settings.
        seed: seed of the order of minibatches and of the jitter.
    """

    def __init__(
        self, net: PolicyNet, demonstrations: Sequence[Episode], config: CloningConfig, seed: int
    ) -> None:
        self.net, self.config, self.epochs = net, config, 0
        observations, actions = joined(demonstrations)
        self._observations, self._actions = aligned(observations), aligned(actions)
        self._jitter = config.jitter * aligned(spread(observations))
        self._chance = torch.Generator().manual_seed(seed)
        if config.units:
            net.set_units(observations, actions)
        if config.noise_of_demonstrations:
            noise = np.maximum(config.noise * actions.std(axis=0), 1e-12)
            with torch.no_grad():
                net.log_std.copy_(aligned(np.log(noise)))
        self._optimiser = torch.optim.Adam(net.mean.parameters(), lr=config.rate)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epochs >= self.config.epochs

    def loss(self) -> Tensor:
        """Return the mean squared error of the mean action over all steps."""
        return self._error(self._observations, self._actions)

    def epoch(self) -> dict[str, float]:
        """Go through all demonstrations once."""
        order = torch.randperm(len(self._actions), generator=self._chance)
        for rows in torch.split(order, self.config.batch):
            loss = self._error(self._blurred(rows), self._actions[rows])
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
        self.epochs += 1
        with torch.no_grad():
            return {"cloning_loss": float(self.loss())}

    def _blurred(self, rows: Tensor) -> Tensor:
        """Return the observations of some steps with jitter, (k, O)."""
        seen = self._observations[rows]
        if not self.config.jitter:
            return seen
        noise = torch.randn(seen.shape, generator=self._chance, dtype=seen.dtype)
        return seen + self._jitter * noise

    def _error(self, observations: Tensor, actions: Tensor) -> Tensor:
        error: Tensor = self.net(observations) - actions
        return error.square().mean()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the complete state but the network."""
        state = prefixed("adam", optimizer_state.state_dict(self._optimiser))
        return state | {"chance": self._chance.get_state(), "epochs": torch.tensor(self.epochs)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a saved state."""
        optimizer_state.load_state_dict(self._optimiser, part(state, "adam"))
        self._chance.set_state(state["chance"])
        self.epochs = int(state["epochs"])


@checked
class BcConfig:
    """Settings."""

    hidden: Widths = (64, 64)
    log_std: LogStd = -0.5
    """Log standard deviation; used if `cloning.noise_of_demonstrations` is off."""
    cloning: CloningConfig = field(default_factory=CloningConfig)


class Bc(Algorithm):
    """Cloning only: an iteration is an epoch, without episodes."""

    def __init__(
        self, spaces: Spaces, config: BcConfig, seed: int, demonstrations: Sequence[Episode]
    ) -> None:
        torch.set_num_threads(1)  # the networks are too small for more to help
        torch.manual_seed(seed)
        self.config = config
        self.net = PolicyNet(spaces, config.hidden, config.log_std)
        self.cloning = Cloning(self.net, demonstrations, config.cloning, seed)

    @property
    def episodes_per_iteration(self) -> int:
        """Zero; learning uses demonstrations only."""
        return 0

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.cloning.finished

    def policy(self) -> GaussianPolicy:
        """Return the present policy."""
        return self.net.to_numpy(self.cloning.epochs)

    def update(self, _: Sequence[Episode]) -> dict[str, float]:
        """Learn for one epoch."""
        return self.cloning.epoch()

    def state_dict(self) -> dict[str, Tensor]:
        """See `Algorithm.state_dict`."""
        state = prefixed("policy", self.net.state_dict())
        return state | prefixed("cloning", self.cloning.state_dict())

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See `Algorithm.load_state_dict`."""
        self.net.load_state_dict(part(state, "policy"))
        self.cloning.load_state_dict(part(state, "cloning"))


algorithm("bc", Method(BcConfig, Bc, demonstrations=Demonstrations.REQUIRED))
