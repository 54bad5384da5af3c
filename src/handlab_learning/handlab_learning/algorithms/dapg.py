"""Demonstration augmented policy gradient (Rajeswaran et al., arXiv:1709.10087, section V).

    clone the demonstrations D, then at iteration k = 0, 1, ...
    g     = 1/N (sum over the policy's own N steps of grad log pi(a|s) A(s, a)
                 + sum over D of grad log pi(a|s) w)
    w     = lambda0 lambda1^k max A
    theta = theta + the natural gradient's normalised step along g

The Fisher matrix is that of the policy's own steps. What the step is scaled by is in `Npg`; a
factor on the whole of g cancels out in it (the published code's 1e-2).

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
from handlab_core.environment.policy import GaussianPolicy
from handlab_core.system.validation import Flag, Fraction, Index, NotNegative, checked
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.algorithm import Method, algorithm
from handlab_learning.algorithms.bc import Cloning, CloningConfig
from handlab_learning.algorithms.demonstrations import joined
from handlab_learning.algorithms.npg import Npg, NpgConfig
from handlab_learning.models.policy_network import aligned
from handlab_learning.models.value_function import BaselineConfig


@checked
class DapgConfig:
    """Settings; lambda0 and lambda1 are the paper's."""

    lambda0: NotNegative = 0.1
    """Weight of the demonstrations at first; 0: natural gradient from the cloned policy."""
    lambda1: Fraction = 0.95
    """Times which it is after every iteration."""
    max_advantage: Flag = False
    """Whether the weight has the factor max A, the best step's advantage, as the paper has it. With
    it the claw's few own steps weigh too little beside twenty demonstrations."""
    watched: Index = 0
    """So many iterations teach the baseline alone what to expect of the cloned policy; ours."""
    cloning: CloningConfig = field(default_factory=CloningConfig)
    npg: NpgConfig = field(
        default_factory=lambda: NpgConfig(
            episodes_per_iteration=5, max_kl_ratio=10.0, baseline=BaselineConfig(epochs=16)
        )
    )
    """From a cloned policy a few episodes say enough for a step, if the baseline keeps up with it;
    in so few it has only a handful of batches an epoch, so it gets more epochs.

    A step towards demonstrations far from the policy's own steps often has more than its KL, which
    is measured on the latter; taking it back would leave the policy where it is for good."""


class Dapg:
    """Cloning, then natural gradient that does not forget the demonstrations at once."""

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

    @property
    def finished(self) -> bool:
        """Never; it is ended from outside."""
        return False

    def policy(self) -> GaussianPolicy:
        """The present policy; version 0 is the cloned one."""
        return self.npg.policy()

    def weight(self, advantage: Tensor) -> float:
        """What a step of a demonstration weighs now, w.

        Args:
            advantage: (B,), whitened, of the policy's own steps.
        """
        best = float(advantage.max()) if self.config.max_advantage else 1.0
        return self._decayed() * best

    def augmentation(self, advantage: Tensor) -> Tensor:
        """The demonstrations' part of what is climbed; its gradient is the second sum of g."""
        likelihood = self.npg.net.log_prob(self._observations, self._actions).sum()
        return self.weight(advantage) * likelihood / len(advantage)

    def update(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """One augmented step, then one fit of the baseline."""
        if self.npg.version < self.config.watched:
            return self.npg.watch(episodes)
        decayed = self._decayed()
        metrics = self.npg.update(episodes, self.augmentation if self.config.lambda0 else None)
        return metrics | {"demonstration_weight": decayed}

    def _decayed(self) -> float:
        k = self.npg.version - self.config.watched
        return self.config.lambda0 * self.config.lambda1**k

    def state_dict(self) -> dict[str, Tensor]:
        """See `Algorithm.state_dict`; the demonstrations are given again, and k is a version."""
        return self.npg.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See `Algorithm.load_state_dict`."""
        self.npg.load_state_dict(state)


algorithm("dapg", Method(DapgConfig, Dapg, demonstrations=True))
