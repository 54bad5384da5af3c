"""Soft actor-critic with an ensemble of critics.

    y      = r + gamma^n (min over some of the ensemble of Q'(s', a') - alpha log pi(a'|s'))
    critic : minimise  sum over the ensemble of mean (Q_i(s, a) - y)^2
    actor  : maximise  mean over the ensemble of Q_i(s, a) - alpha log pi(a|s)
    alpha  : minimise  alpha (-log pi(a|s) - target entropy)

r is the discounted sum of n rewards, a and a' are drawn from the policy, Q' are averages of Q. The
parts come from

- soft actor-critic with its automatic temperature (Haarnoja et al., arXiv:1812.05905),
- an ensemble, and the minimum over a random subset (REDQ; Chen et al., arXiv:2101.05982),
- layer normalisation of the critics (RLPD; Ball et al., arXiv:2302.02948),
- a term that keeps the actor near demonstrations (Fujimoto and Gu, arXiv:2106.06860).
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from handlab_core.errors import BadConfig
from handlab_core.system.validation import (
    Count,
    Flag,
    Fraction,
    NotNegative,
    Number,
    Positive,
    checked,
)
from handlab_core.tasks.sizes import Spaces
from handlab_learning.models import optimizer_state
from handlab_learning.models.critic_ensemble import CriticEnsemble
from handlab_learning.models.policy_network import Widths, part, prefixed
from handlab_learning.models.squashed_actor import SquashedActor
from handlab_learning.off_policy.replay import Batch

SmallCount = Annotated[Count, Field(le=64)]


@checked
class SoftActorCriticConfig:
    """Settings; without a source: the best median among some variants on the valve."""

    hidden: Widths = (128, 128)
    """Widths of the hidden layers of actor and critics; 256 in RLPD, which takes twice the time."""
    critics: SmallCount = 4
    """Number of critics; 10 in RLPD and REDQ."""
    subset: SmallCount = 2
    """Number of targets of which the minimum counts; REDQ."""
    critic_rate: Positive = 5e-4
    """Learning rate; 3e-4 in RLPD."""
    actor_rate: Positive = 3e-4
    """Learning rate; RLPD."""
    temperature_rate: Positive = 3e-4
    """Learning rate; RLPD."""
    target_rate: Fraction = 0.01
    """Weight of the critics in their targets after an update; 0.005 in SAC."""
    average_rate: Fraction = 0.005
    """Weight of the actor in the averaged actor after an update of the actor. The averaged actor is
    evaluated and handed out, because a single one may be worse than its neighbours."""
    target_entropy: Number | None = None
    """Entropy of the policy that the temperature aims at; None: minus the number of actions, as in
    SAC."""
    entropy_backup: Flag = True
    """Whether the target has the entropy of the next action; false in RLPD on hands (Adroit)."""
    cloning_weight: NotNegative = 2.5
    """Weight of the actor's squared distance from the demonstrated actions, in units of the mean
    absolute value of actions; TD3+BC has 0.4 for the sum over the actions."""

    def __post_init__(self) -> None:
        """Check the sizes of the ensemble and of its subset."""
        if self.subset > self.critics:
            raise BadConfig(f"subset is {self.subset}; there are {self.critics} critics")


class SoftActorCritic:
    """Actor, critics, their averages and the temperature.

    Args:
        spaces: sizes of observation and action.
        config: settings.
        temperature: initial temperature alpha.
        rng: draws actions, and the critics whose minimum counts.
        actor: the actor to train; None: one is made.
    """

    def __init__(
        self,
        spaces: Spaces,
        config: SoftActorCriticConfig,
        temperature: float,
        rng: torch.Generator,
        actor: SquashedActor | None = None,
    ) -> None:
        self.config = config
        self.actor = actor or SquashedActor(spaces, config.hidden)
        inputs = spaces.observation + spaces.action
        self.critics = CriticEnsemble(config.critics, inputs, config.hidden)
        self.targets = copy.deepcopy(self.critics).requires_grad_(False)
        self.averaged = copy.deepcopy(self.actor).requires_grad_(False)
        self.log_temperature = torch.tensor(temperature).log().requires_grad_()
        given = config.target_entropy
        self._target_entropy = -float(spaces.action) if given is None else given
        self._rng = rng
        self._optimisers = {
            "actor": adam(self.actor.parameters(), config.actor_rate),
            "critics": adam(self.critics.parameters(), config.critic_rate),
            "temperature": adam([self.log_temperature], config.temperature_rate),
        }

    @property
    def temperature(self) -> float:
        """The temperature alpha."""
        return float(self.log_temperature.detach().exp())

    @temperature.setter
    def temperature(self, value: float) -> None:
        with torch.no_grad():
            self.log_temperature.fill_(value).log_()

    def act_as(self, other: SquashedActor) -> None:
        """Give actor and averaged actor the parameters of another one."""
        self.actor.load_state_dict(other.state_dict())
        self.averaged.load_state_dict(other.state_dict())

    def targets_of(self, batch: Batch) -> Tensor:
        """Return the values y that the critics learn, (B,)."""
        with torch.no_grad():
            action, log_prob = self.actor.sample(batch.following, self._rng)
            members = torch.randperm(self.config.critics, generator=self._rng)
            following = torch.cat((batch.following, action), -1)
            value: Tensor = self.targets(following, members[: self.config.subset]).amin(0)
            if self.config.entropy_backup:
                value = value - self.log_temperature.exp() * log_prob
            target: Tensor = batch.reward + batch.discount * value
        return target

    def update_critics(self, batch: Batch) -> Tensor:
        """Make a step of the critics, then of their targets; return the mean squared error."""
        target = self.targets_of(batch)
        error: Tensor = (self.critics(batch.taken) - target).square().mean(1)
        descend(self._optimisers["critics"], error.sum())
        _follow(self.targets, self.critics, self.config.target_rate)
        return error.detach().mean()

    def update_actor(
        self, observation: Tensor, distance: Callable[[], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Make a step of the actor; return means of the value and of the log density.

        Args:
            observation: (B, O).
            distance: returns the mean squared distance of the actor from some demonstrated
                actions; None: there are none.
        """
        self.critics.requires_grad_(False)  # saves the gradients that nothing needs here
        action, log_prob = self.actor.sample(observation, self._rng)
        values = self.critics(torch.cat((observation, action), -1))
        value = values.mean()
        loss = self.log_temperature.detach().exp() * log_prob.mean() - value
        if distance is not None and self.config.cloning_weight:
            unit = values.detach().abs().mean()  # the weight holds for rewards of any size
            loss = loss + self.config.cloning_weight * unit * distance()
        descend(self._optimisers["actor"], loss)
        self.critics.requires_grad_(True)
        _follow(self.averaged, self.actor, self.config.average_rate)
        return value.detach(), log_prob.detach().mean()

    def update_temperature(self, log_prob: Tensor) -> None:
        """Make a step of the temperature; `log_prob` is the mean of a batch."""
        surplus = -log_prob - self._target_entropy
        descend(self._optimisers["temperature"], self.log_temperature.exp() * surplus)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the complete state, without that of the random generator."""
        state = {"log_temperature": self.log_temperature.detach()}
        for name, net in self._networks().items():
            state |= prefixed(name, net.state_dict())
        for name, optimiser in self._optimisers.items():
            state |= prefixed(f"adam_{name}", optimizer_state.state_dict(optimiser))
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a saved state."""
        for name, net in self._networks().items():
            net.load_state_dict(part(state, name))
        for name, optimiser in self._optimisers.items():
            optimizer_state.load_state_dict(optimiser, part(state, f"adam_{name}"))
        with torch.no_grad():
            self.log_temperature.copy_(state["log_temperature"])

    def _networks(self) -> dict[str, nn.Module]:
        return {
            "actor": self.actor,
            "averaged": self.averaged,
            "critics": self.critics,
            "targets": self.targets,
        }


def descend(optimiser: torch.optim.Adam, loss: Tensor) -> None:
    """Make a step of an optimiser down the gradient of a loss."""
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def adam(parameters: Iterable[Tensor], rate: float) -> torch.optim.Adam:
    """Return an optimiser whose step is one call for all parameters."""
    return torch.optim.Adam(parameters, lr=rate, fused=True)


def _follow(average: nn.Module, net: nn.Module, rate: float) -> None:
    """Move the parameters of an averaged network towards those of a network."""
    averages: list[Tensor] = list(average.parameters())
    own: list[Tensor] = list(net.parameters())
    with torch.no_grad():
        torch._foreach_lerp_(averages, own, rate)
