"""Demonstration augmented policy gradient (Rajeswaran et al., arXiv:1709.10087, section V).

    clone the demonstrations D, then at iteration k = 0, 1, ...
    g     = 1/N (sum over the policy's own N steps of grad log pi(a|s) A(s, a)
                 + sum over D of grad log pi(a|s) w)
    w     = lambda0 lambda1^k max A
    theta = theta + the natural gradient's normalised step along g

The Fisher matrix is that of the policy's own steps. `Npg` normalises the step, which cancels any
factor of g (1e-2 in the published code).

Where paper and published code differ:

    |                    | paper | mjrl/algos/dapg.py | hand_dapg/dapg/examples/dapg.txt |
    |--------------------|-------|--------------------|----------------------------------|
    | lambda0            | 0.1   | 1.0                | 0.01                             |
    | lambda1            | 0.95  | 0.95               | 0.95                             |
    | the factor max A   | yes   | no                 | no                               |
    | advantages         |       | whitened           | whitened                         |
"""

from collections.abc import Mapping, Sequence
from dataclasses import field

from torch import Tensor

from handlab_core.environment.episode import Episode
from handlab_core.environment.policies.policy import GaussianPolicy
from handlab_core.system.validation import Flag, Fraction, Index, NotNegative, checked
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.algorithm import Algorithm, Demonstrations, Method, algorithm
from handlab_learning.algorithms.bc import Cloning, CloningConfig
from handlab_learning.algorithms.demonstrations import joined
from handlab_learning.algorithms.npg import Npg, NpgConfig
from handlab_learning.models.policy_network import aligned
from handlab_learning.models.value_function import BaselineConfig


@checked
class DapgConfig:
    """Settings; lambda0 and lambda1 are the paper's."""

    lambda0: NotNegative = 0.1
    """Initial weight of the demonstrations; 0: natural gradient from the cloned policy."""
    lambda1: Fraction = 0.95
    """Decay factor applied to lambda0 after each iteration."""
    max_advantage: Flag = False
    """Whether the weight has the factor max A, the advantage of the best step, as in the paper.
    With this factor the few own steps of the claw weigh too little against twenty
    demonstrations."""
    watched: Index = 0
    """Number of first iterations that fit the baseline to the cloned policy only; not published."""
    cloning: CloningConfig = field(default_factory=CloningConfig)
    npg: NpgConfig = field(
        default_factory=lambda: NpgConfig(
            episodes_per_iteration=5, max_kl_ratio=10.0, baseline=BaselineConfig(epochs=16)
        )
    )
    """Settings of the natural gradient. For a cloned policy a few episodes per step suffice, if the
    baseline follows. It gets more epochs, because an epoch then has few batches.

    A step towards distant demonstrations often exceeds its KL, which is measured on own steps.
    Reverting such steps would stop learning; therefore max_kl_ratio is large."""


class Dapg(Algorithm):
    """Cloning, then natural gradient augmented by the demonstrations."""

    def __init__(
        self, spaces: Spaces, config: DapgConfig, seed: int, demonstrations: Sequence[Episode]
    ) -> None:
        self.config = config
        self.npg = Npg(spaces, config.npg, seed)
        self._observations, self._actions = (aligned(a) for a in joined(demonstrations))
        cloning = Cloning(self.npg.net, demonstrations, config.cloning, seed)
        while not cloning.finished:
            cloning.epoch()

    @property
    def episodes_per_iteration(self) -> int:
        """See `Algorithm.episodes_per_iteration`."""
        return self.npg.episodes_per_iteration

    def policy(self) -> GaussianPolicy:
        """Return the present policy; version 0 is the cloned one."""
        return self.npg.policy()

    def weight(self, advantage: Tensor) -> float:
        """Return the present weight w of a demonstrated step.

        Args:
            advantage: (B,) whitened advantages of the policy's own steps.
        """
        best = float(advantage.max()) if self.config.max_advantage else 1.0
        return self._decayed() * best

    def augmentation(self, advantage: Tensor) -> Tensor:
        """Return the demonstrations' part of the objective; its gradient is the second sum of g."""
        likelihood = self.npg.net.log_prob(self._observations, self._actions).sum()
        return self.weight(advantage) * likelihood / len(advantage)

    def update(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Make one augmented step, then fit the baseline."""
        if self.npg.version < self.config.watched:
            return self.npg.watch(episodes)
        decayed = self._decayed()
        metrics = self.npg.update(episodes, self.augmentation if self.config.lambda0 else None)
        return metrics | {"demonstration_weight": decayed}

    def _decayed(self) -> float:
        k = self.npg.version - self.config.watched
        return self.config.lambda0 * self.config.lambda1**k

    def state_dict(self) -> dict[str, Tensor]:
        """See `Algorithm.state_dict`; the demonstrations are not part of the state."""
        return self.npg.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See `Algorithm.load_state_dict`."""
        self.npg.load_state_dict(state)


algorithm("dapg", Method(DapgConfig, Dapg, demonstrations=Demonstrations.REQUIRED))
