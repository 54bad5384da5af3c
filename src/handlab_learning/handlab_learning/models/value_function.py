"""Value baseline: a network of the observation and the time within the episode."""

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from handlab_core.environment.episode import Episode
from handlab_core.system.validation import Count, Index, NotNegative, Positive, checked
from handlab_core.tasks.sizes import Spaces
from handlab_core.types import Array
from handlab_learning.models import optimizer_state
from handlab_learning.models.policy_network import Widths, aligned, mlp, part, prefixed

TIME_POWERS = (1, 2, 3)


@checked
class BaselineConfig:
    """Settings; mlp_baseline.py in mjrl, as far as it has them."""

    hidden: Widths = (128, 128)
    rate: Positive = 1e-3
    epochs: Index = 4
    batch: Count = 256
    weight_decay: NotNegative = 1e-3
    memory: Count = 5
    """Number of newest iterations whose episodes are fitted."""


class Baseline:
    """Expected return of a state; the network's output is normalised by mean and spread of returns.

    Args:
        spaces: sizes of the task; the length of an episode is the unit of the time feature.
        config: settings.
        seed: seed of the order of minibatches.
    """

    def __init__(self, spaces: Spaces, config: BaselineConfig, seed: int) -> None:
        self.config, self.steps = config, spaces.steps
        self.net = mlp((spaces.observation + len(TIME_POWERS), *config.hidden, 1), nn.ReLU)
        self.optimiser = torch.optim.Adam(
            self.net.parameters(), lr=config.rate, weight_decay=config.weight_decay
        )
        self.shift, self.scale = 0.0, 1.0
        self._memory: deque[tuple[Tensor, Array]] = deque(maxlen=config.memory)
        self._order = torch.Generator().manual_seed(seed)

    def values(self, episode: Episode) -> Array:
        """Return the values of all states of an episode, (T + 1,), in the unit of the returns."""
        with torch.no_grad():
            output = self.net(self._features(episode.trajectory.observations)).squeeze(-1)
        values: Array = output.numpy() * self.scale + self.shift
        return values

    def fit(self, episodes: Sequence[Episode], returns: Sequence[Array]) -> dict[str, float]:
        """Regress on the returns of the newest iterations.

        Args:
            episodes: episodes of this iteration.
            returns: (T,) of each episode.

        Returns:
            `value_explained`: the explained fraction of the returns' variance before the fit.
        """
        features = torch.cat([self._features(e.trajectory.observations[:-1]) for e in episodes])
        self._memory.append((features, np.concatenate(returns)))
        target = np.concatenate([values for _, values in self._memory])
        self._rescale(float(target.mean()), float(target.std()) + 1e-6)
        x = torch.cat([features for features, _ in self._memory])
        y = aligned((target - self.shift) / self.scale)
        with torch.no_grad():
            unexplained = float((self.net(x).squeeze(-1) - y).square().mean())
        for _ in range(self.config.epochs):
            order = torch.randperm(len(x), generator=self._order)
            for rows in torch.split(order, self.config.batch):
                loss = (self.net(x[rows]).squeeze(-1) - y[rows]).square().mean()
                self.optimiser.zero_grad()
                loss.backward()
                self.optimiser.step()
        return {"value_explained": 1.0 - unexplained}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the complete state."""
        state = prefixed("net", self.net.state_dict())
        state |= prefixed("adam", optimizer_state.state_dict(self.optimiser))
        for i, (features, returns) in enumerate(self._memory):
            state |= {
                f"memory.{i}.features": features,
                f"memory.{i}.returns": torch.from_numpy(returns),
            }
        state["scaling"] = torch.tensor([self.shift, self.scale], dtype=torch.float64)
        return state | {"order": self._order.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a saved state."""
        self.net.load_state_dict(part(state, "net"))
        optimizer_state.load_state_dict(self.optimiser, part(state, "adam"))
        memory = part(state, "memory")
        self._memory.clear()
        for i in range(len(memory) // 2):
            features, returns = memory[f"{i}.features"], memory[f"{i}.returns"]
            inputs = next(self.net.parameters()).shape[1]
            if features.shape != (len(returns), inputs) or returns.dim() != 1:
                raise ValueError(f"the baseline's memory {i} has shape {tuple(features.shape)}")
            self._memory.append((features, returns.numpy()))
        self.shift, self.scale = (float(x) for x in state["scaling"])
        self._order.set_state(state["order"])

    def _features(self, observations: Array) -> Tensor:
        time = np.arange(len(observations))[:, None] / self.steps
        powers = np.concatenate([time**power for power in TIME_POWERS], axis=1)
        return aligned(np.concatenate([observations, powers], axis=1))

    def _rescale(self, shift: float, scale: float) -> None:
        """Change the normalisation, and the last layer so that the values do not change."""
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.mul_(self.scale / scale)
            last.bias.mul_(self.scale / scale).add_((self.shift - shift) / scale)
        self.shift, self.scale = shift, scale
