"""Soft actor-critic with prior data (RLPD; Ball et al., arXiv:2302.02948).

    y      = r + gamma^n (min over some of the ensemble of Q'(s', a') - alpha log pi(a'|s'))
    critic : minimise  sum over the ensemble of mean (Q_i(s, a) - y)^2
    actor  : maximise  mean over the ensemble of Q_i(s, a) - alpha log pi(a|s)
    alpha  : minimise  alpha (-log pi(a|s) - target entropy)

r is the discounted sum of n rewards, a and a' are drawn from the policy, Q' are averages of Q. The
parts come from

- soft actor-critic with its automatic temperature (Haarnoja et al., arXiv:1812.05905),
- an ensemble, the minimum over a random subset, and many updates per step (REDQ; Chen et al.,
  arXiv:2101.05982),
- layer normalisation of the critics, and half of each batch from demonstrations (RLPD),
- noise that is correlated over an episode (Eberhard et al., ICLR 2023),
- a term that keeps the actor near the demonstrations (Fujimoto and Gu, arXiv:2106.06860),
- a critic that learns from all known episodes before the actor does, and rare updates of the actor
  (ResFiT; arXiv:2509.19301).

Steps in which an intervener acted are in both memories: that of the run, and that of the
demonstrations (HIL-SERL; arXiv:2410.21845).

Where goals are poses of the hand, the robot may begin with an experiment: slow random motions, in
hindsight, are demonstrations of how to reach the poses that they came by (Andrychowicz et al.,
arXiv:1707.01495; Ghosh et al., arXiv:1912.06088). A clone of them is the first policy.

An iteration is one episode. The updates that an episode pays for are made while the next episode
runs, so that the robot never waits for them.
"""

import copy
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from handlab_core.environment.episode import Episode
from handlab_core.environment.noise import BROWN, PINK
from handlab_core.environment.policies.gait_policy import GaitPolicy
from handlab_core.environment.policies.policy import Policy
from handlab_core.errors import BadConfig
from handlab_core.system.validation import (
    Count,
    Flag,
    Fraction,
    Index,
    NotNegative,
    Number,
    Positive,
    checked,
)
from handlab_core.tasks.sizes import Spaces
from handlab_learning.algorithms.algorithm import Algorithm, Demonstrations, Method, algorithm
from handlab_learning.algorithms.replay import Batch, Replay
from handlab_learning.algorithms.trials import Trials
from handlab_learning.exploration.gait_fit import gaits_like
from handlab_learning.exploration.gait_search import GaitSearch
from handlab_learning.exploration.hindsight import in_hindsight
from handlab_learning.models import optimizer_state
from handlab_learning.models.critic_ensemble import CriticEnsemble
from handlab_learning.models.policy_network import Widths, part, prefixed
from handlab_learning.models.squashed_actor import SquashedActor

LOOK_EVERY = 0.1
"""Seconds between two calls of `enough` during updates: a cancelled run ends at once."""

PROMISING = 5
"""Newest episodes, one of which must be a success before an evaluation is worth its time."""

ELITE = 5
"""Number of episodes that the robot imitates as long as none is a success; they are the best of all
episodes, as in the cross-entropy method (Rubinstein, 1999)."""

SmallCount = Annotated[Count, Field(le=64)]


@checked
class RlpdConfig:
    """Settings; without a source: the best median among some variants on the valve."""

    hidden: Widths = (128, 128)
    """Widths of the hidden layers of actor and critics; 256 in RLPD, which takes twice the time."""
    critics: SmallCount = 4
    """Number of critics; 10 in RLPD and REDQ."""
    subset: SmallCount = 2
    """Number of targets of which the minimum counts; REDQ."""
    update_ratio: Positive = 4.0
    """Updates of the critics per step of the robot; 20 in RLPD."""
    actor_every: Count = 4
    """Updates of the critics for each update of the actor; 1 in SAC, 20 in RLPD, 2 to 8 in
    ResFiT."""
    batch: Count = 128
    """Transitions of an update; 256 in RLPD, which takes twice the time."""
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
    gamma: Annotated[Fraction, Field(gt=0)] = 0.97
    """Discount factor of a step; 0.96 to 0.985 in HIL-SERL at the same 10 Hz."""
    n_step: SmallCount = 3
    """Steps of a transition; ResFiT. Entropy counts from the state after them on."""
    reward_scale: Positive = 0.02
    """Factor of the rewards. It brings the values of a task to the order of 1; with larger values
    the critics spend thousands of updates on their size."""
    target_entropy: Number | None = None
    """Entropy of the policy that the temperature aims at; None: minus the number of actions, as in
    SAC."""
    symmetries: Flag = True
    """Whether transitions are repeated with alike fingers exchanged, where a task has such."""
    temperature: Positive = 0.02
    """Initial temperature alpha, in the unit of the scaled rewards."""
    entropy_backup: Flag = True
    """Whether the target has the entropy of the next action; false in RLPD on hands (Adroit)."""
    noise_exponent: Annotated[NotNegative, Field(le=4)] = PINK
    """Power spectrum of the exploration noise, 1/f^exponent; 1 in Eberhard et al. White noise (0)
    on position targets hardly moves a hand."""
    first_episodes: Count = 5
    """Episodes before the first update; 5,000 steps in RLPD's commands."""
    critic_warm_up: Index = 0
    """Updates of the critics before the first update of the actor; 5,000 steps in WSRL."""

    demonstration_fraction: Fraction = 0.5
    """Part of each batch that comes from the demonstrations, if there are any; RLPD."""
    cloning_updates: Index = 2000
    """Updates of the actor towards the demonstrations before the first episode."""
    cloning_rate: Positive = 1e-3
    """Learning rate of these updates; that of `bc`."""
    cloning_jitter: NotNegative = 0.2
    """Noise on the observations during cloning, in standard deviations of the observations; see
    `bc`."""
    cloning_weight: NotNegative = 2.5
    """Weight of the actor's squared distance from the demonstrated actions, in units of the mean
    absolute value of actions; TD3+BC has 0.4 for the sum over the actions."""
    look_ahead: SmallCount = 4
    """Largest number of steps by which a clone of demonstrations without a success is ahead of
    them. It follows the action that a demonstration took later, so that it is faster."""
    cloned_critic_warm_up: Index = 1000
    """Updates of the critics before the first update of a cloned actor. Critics that know nothing
    destroy what was cloned; ResFiT."""
    cloned_std: Annotated[Positive, Field(le=1)] = 0.06
    """Initial standard deviation of a cloned policy. At 0.2, noise wrecks a gait that turns the
    valve without it."""
    cloned_temperature: Positive = 0.002
    """Initial temperature with demonstrations, in the unit of the scaled rewards; 0.01 in SERL.
    More hides the cloned behaviour."""
    cloned_first_episodes: Count = 2
    """Episodes before the first update with demonstrations."""

    own_demonstrations: Index = 0
    """Number of successful episodes of one gait that the robot searches before it learns, unless a
    given demonstration is a success; 0: none. Only for tasks with an object that has one error. The
    search begins with gaits like the demonstrations."""
    search_episodes: Count = 120
    """Maximum number of episodes of that search; learning then begins with the findings."""
    hindsight_episodes: Index = 0
    """Episodes of slow random motions from which the robot learns in hindsight how to reach a pose,
    without given demonstrations; 0: none. Only for tasks whose goals are poses."""
    hindsight_steps: SmallCount = 2
    """Steps from an action to the pose that it is said to reach."""
    imitation_episodes: Index = 30
    """Episodes after cloning in which the robot only imitates, unless there is a champion before:
    clones are tried in turn with noise and without, and successes join the demonstrations. The
    critics learn meanwhile; the actor follows them after it."""
    success_imitation_episodes: Index = 4
    """The same after a success of a robot that began without demonstrations."""
    own_successes: Flag = True
    """Whether strictly successful episodes become demonstrations (self-imitation; Oh et al.,
    arXiv:1806.05635)."""

    trial_every: Index = 4
    """Every so many episodes one runs the averaged policy without noise; 0: none does. When it
    succeeds strictly it is repeated, see `trial_successes`."""
    trial_successes: Count = 5
    """Strict successes in a row from which the tried policy is the champion, which is handed out.
    The policy that replaces a champion needs twice as many."""
    return_after: Count = 3
    """Trials in a row without a success after which the actor is the champion again."""

    def __post_init__(self) -> None:
        """Check the sizes of the ensemble and of its subset."""
        if self.subset > self.critics:
            raise BadConfig(f"subset is {self.subset}; there are {self.critics} critics")


class Rlpd(Algorithm):
    """Soft actor-critic on all episodes of the run and, if there are any, demonstrations.

    Args:
        spaces: sizes of what the actor observes, and of its actions.
        config: settings.
        seed: random seed.
        demonstrations: episodes with the actor's observations.
        make_actor: builds the actor; None: it acts alone.
        observed: returns an episode of the run with the actor's observations.
    """

    remembers = True

    def __init__(
        self,
        spaces: Spaces,
        config: RlpdConfig,
        seed: int,
        demonstrations: Sequence[Episode] = (),
        make_actor: Callable[[], SquashedActor] | None = None,
        observed: Callable[[Episode], Episode] = lambda episode: episode,
    ) -> None:
        torch.set_num_threads(1)  # the networks are too small for more to help
        torch.manual_seed(seed)
        self.config = config
        self.actor = make_actor() if make_actor else SquashedActor(spaces, config.hidden)
        self._observed = observed
        inputs = spaces.observation + spaces.action
        self.critics = CriticEnsemble(config.critics, inputs, config.hidden)
        self.targets = copy.deepcopy(self.critics).requires_grad_(False)
        self._gait: GaitPolicy | None = None  # what the search found
        self._experiments = _experiments(spaces, config) if not demonstrations else 0
        cloned = bool(demonstrations)
        initial = config.cloned_temperature if cloned else config.temperature
        self.log_temperature = torch.tensor(initial).log().requires_grad_()
        self._first = config.cloned_first_episodes if cloned else config.first_episodes
        self._warm_up = config.cloned_critic_warm_up if cloned else config.critic_warm_up
        given = config.target_entropy
        self._target_entropy = -float(spaces.action) if given is None else given
        self._rng = torch.Generator().manual_seed(seed)
        form = config.n_step, config.gamma, config.reward_scale
        self.replay = Replay(spaces, *form, symmetric=config.symmetries)
        # At a symmetric start, exchanged demonstrations would contradict each other.
        self._demonstrations = Replay(spaces, *form, symmetric=False)
        solved = [episode for episode in demonstrations if episode.outcome.solved]
        self._demonstrations.add(solved or demonstrations)
        self._given = [] if solved else list(demonstrations)
        self._poor = self._given  # the best episodes, until there is a success
        if solved:
            self.replay.add([episode for episode in demonstrations if not episode.outcome.solved])
        if self._experiments:
            self._first = max(self._first, self._experiments)
            self._warm_up = config.cloned_critic_warm_up
        self._search = _search(spaces, config, seed, self._given) if not solved else None
        self._spaces = spaces
        self._hindsight = Replay(spaces, *form, symmetric=config.symmetries)
        self._first += self.replay.episodes
        self._optimisers = {
            "actor": _adam(self.actor.parameters(), config.actor_rate),
            "critics": _adam(self.critics.parameters(), config.critic_rate),
            "temperature": _adam([self.log_temperature], config.temperature_rate),
        }
        self._episodes = self._updates = self._newest_steps = 0
        self._newest: deque[bool] = deque(maxlen=PROMISING)  # whether they succeeded
        self.averaged = copy.deepcopy(self.actor).requires_grad_(False)
        self._trials = Trials(self.actor, config.trial_every, config.trial_successes)
        self.clone = copy.deepcopy(self.actor)
        self._imitation_left = 0  # episodes
        self._acting_clone = False  # whether the actor has learned nothing but to imitate
        if cloned and self._search is None:
            self._begin_with_clone()

    @property
    def episodes_per_iteration(self) -> int:
        """One: the policy improves after every episode."""
        return 1

    @property
    def promising(self) -> bool:
        """Whether there is a champion, or one of the newest episodes succeeded."""
        return bool(self._trials.champions) or any(self._newest)

    def policy(self) -> Policy:
        """Return the present policy, which explores; during a search, the next gait."""
        if self._search is not None:
            return self._search.policy(2 * self._episodes)
        if self._experimenting:
            return self.actor.to_numpy(BROWN, 2 * self._episodes)
        if self._trials.running:
            return self._steady(self._trials.challenger, 2 * self._episodes)
        actor = self.clone if self._imitation_left else self.actor
        return actor.to_numpy(self.config.noise_exponent, 2 * self._episodes)

    def result(self) -> Policy:
        """Return the champion; before the first one the gait that was found, or the average."""
        version = 2 * self._episodes + 1
        if self._search is not None:
            return self._search.best(version)
        if self._trials.champions:
            return self._steady(self._trials.champion, version)
        if self._gait is not None:
            return replace(self._gait, version=version)
        return self.averaged.to_numpy(self.config.noise_exponent, version)

    @property
    def _experimenting(self) -> bool:
        """Whether there are too few random motions to learn from in hindsight."""
        return self.replay.episodes < self._experiments

    def _steady(self, actor: SquashedActor, version: int) -> Policy:
        """Return a policy that acts as without noise."""
        steady = copy.deepcopy(actor)
        steady.set_std(0.0)
        return steady.to_numpy(self.config.noise_exponent, version)

    def update(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Remember the episodes; the next call of `update_meanwhile` learns from them."""
        search, experimenting = self._search, self._experimenting
        self.recall(episodes)
        self._episodes += 1
        if experimenting:
            if not self._experimenting:
                self._begin_as_found()
            return {"experiments": float(self.replay.episodes)}
        if search is None:
            for episode in episodes:
                self._count(episode)
            return {"champions": float(self._trials.champions)}
        if search.ended and (search.found or self._given):
            self._begin_as_found()
        searching = float(not search.ended)
        return {"searching": searching, "own_demonstrations": float(len(search.found)),
                "best_gait_cost": search.best_cost}  # fmt: skip

    def _count(self, episode: Episode) -> None:
        """Count an episode in the trials; one with interventions says nothing of the policy."""
        self._imitation_left = max(self._imitation_left - 1, 0)
        if episode.intervention_rate > 0:
            return
        if self._first_success(episode):
            self._begin_imitation(self.config.success_imitation_episodes)
            return
        if self._trials.running:
            self._trials.after_trial(episode.outcome.solved)
            if self._trials.champions:
                self._imitation_left = 0
                self._return_to_champion()
        elif self._imitation_left:
            self._trials.begin(self.clone)
        elif self._updates > self._warm_up:
            self._trials.after_other(self.averaged)

    def _return_to_champion(self) -> None:
        """Begin with the champion again when learning has led nowhere since."""
        if self._trials.hopeless < self.config.return_after:
            return
        champion = self._trials.champion.state_dict()
        self.actor.load_state_dict(champion)
        self.averaged.load_state_dict(champion)
        self._trials.hopeless = 0

    def _first_success(self, episode: Episode) -> bool:
        """Whether an episode is one of the few successes from which clones are worth a try.

        They are the first success, the second, the fourth and so on, as long as there is no
        champion: the more the robot has succeeded, the less another clone tells.
        """
        if self._trials.champions or self._trials.running or self._imitation_left:
            return False
        count = self._demonstrations.episodes
        return self.config.own_successes and episode.outcome.solved and not count & (count - 1)

    def recall(self, episodes: Sequence[Episode]) -> None:
        """See `Algorithm.recall`."""
        for episode in map(self._observed, episodes):
            self.replay.add([episode])
            self._demonstrations.add([episode], intervened=True)
            if self._experiments:
                self._hindsight.add(
                    [in_hindsight(episode, self._spaces, self.config.hindsight_steps)]
                )
            self._newest.append(episode.success)
            if self._search is not None:
                self._search.tell(episode)
                if self._search.ended:
                    self._begin_with(self._search)
            elif self.config.own_successes and not episode.intervention_rate:
                self._consider(episode)
        self._newest_steps = sum(episode.steps for episode in episodes[-1:])

    def update_meanwhile(self, enough: Callable[[], bool] = lambda: False) -> dict[str, float]:
        """Make the updates that the newest episode pays for; see `Algorithm.update_meanwhile`."""
        if self._search is not None or self.replay.episodes < self._first:
            return {}
        due = round(self.config.update_ratio * self._newest_steps)
        if not self._updates:
            due += self._warm_up
        if self._imitation_left and not self._trials.running:
            self._imitate()
        record = _Means()
        looked = time.monotonic()
        for done in range(due):
            if time.monotonic() - looked > LOOK_EVERY:
                if enough():
                    due = done
                    break
                looked = time.monotonic()
            self._update(record)
        return record.means() | {"updates": float(due), "temperature": self._temperature()}

    def _temperature(self) -> float:
        return float(self.log_temperature.detach().exp())

    def _update(self, record: "_Means") -> None:
        """Update the critics and, every few times, the actor and the temperature."""
        batch = self._draw()
        record.add("critic_loss", self._update_critics(batch))
        self._updates += 1
        late = self._updates - self._warm_up
        imitating = self._acting_clone and self._imitation_left
        if late > 0 and late % self.config.actor_every == 0 and not imitating:
            self._acting_clone = False
            value, log_prob = self._update_actor(batch.observation)
            self._update_temperature(log_prob)
            record.add("action_value", value)
            record.add("entropy", -log_prob)

    def _draw(self) -> Batch:
        """Draw a batch, the agreed part of it from the demonstrations."""
        count = self.config.batch
        if not len(self._demonstrations):
            return self.replay.batch(self.replay.draw(count, self._rng))
        given = round(self.config.demonstration_fraction * count)
        rows = (
            self.replay.draw(count - given, self._rng),
            self._demonstrations.draw(given, self._rng),
        )
        return self.replay.batch(torch.cat(rows))

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

    def _update_critics(self, batch: Batch) -> Tensor:
        """Make a step of the critics, then of their targets; return the mean squared error."""
        target = self.targets_of(batch)
        error: Tensor = (self.critics(batch.taken) - target).square().mean(1)
        self._step("critics", error.sum())
        _follow(self.targets, self.critics, self.config.target_rate)
        return error.detach().mean()

    def _update_actor(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Make a step of the actor; return means of the value and of the log density."""
        self.critics.requires_grad_(False)  # saves the gradients that nothing needs here
        action, log_prob = self.actor.sample(observation, self._rng)
        values = self.critics(torch.cat((observation, action), -1))
        value = values.mean()
        loss = self.log_temperature.detach().exp() * log_prob.mean() - value
        if len(self._demonstrations) and self.config.cloning_weight:
            unit = values.detach().abs().mean()  # the weight holds for rewards of any size
            loss = loss + self.config.cloning_weight * unit * self._distance(
                self.actor, self._demonstrations
            )
        self._step("actor", loss)
        self.critics.requires_grad_(True)
        _follow(self.averaged, self.actor, self.config.average_rate)
        return value.detach(), log_prob.detach().mean()

    def _update_temperature(self, log_prob: Tensor) -> None:
        surplus = -log_prob - self._target_entropy
        self._step("temperature", self.log_temperature.exp() * surplus)

    def _begin_with(self, search: GaitSearch) -> None:
        """Learn from the demonstrations that a search found, if any."""
        self._search = None
        for episode in search.found:
            self._consider(episode)
        if search.found:
            self._gait = search.best(0) if search.succeeded else None
            self._warm_up = self.config.cloned_critic_warm_up

    def _begin_as_found(self) -> None:
        """Begin with a clone of what the robot has found out on its own."""
        with torch.no_grad():
            self.log_temperature.fill_(self.config.cloned_temperature).log_()
        self._begin_with_clone()

    def _begin_with_clone(self) -> None:
        """Clone the demonstrations, and begin with the clone as actor."""
        self._acting_clone = True
        self._begin_imitation(self.config.imitation_episodes)

    def _begin_imitation(self, episodes: int) -> None:
        """Clone the demonstrations, and try the clone and others after it for some episodes."""
        self._imitate()
        self._trials.begin(self.clone)
        if self._trials.running:
            self._imitation_left = episodes

    def _consider(self, episode: Episode) -> None:
        """Add an own success to the demonstrations; the first one takes the place of poor ones.

        Before it, the robot imitates the best among its own episodes and the demonstrations.
        """
        if not episode.outcome.solved:
            if self._poor:
                every = [*self._poor, episode]
                self._poor = sorted(every, key=_return, reverse=True)[:ELITE]
            return
        if self._poor:
            self.replay.add(self._given)
            self._poor, self._demonstrations = [], self._demonstrations.emptied()
        self._demonstrations.add([episode])

    def _examples(self) -> Replay:
        """Return the demonstrations to clone: hurried ones, if there is no success."""
        if self._experiments:
            return self._hindsight
        if not self._poor:
            return self._demonstrations
        steps = int(torch.randint(self.config.look_ahead + 1, (), generator=self._rng))
        hurried = self._demonstrations.emptied()
        hurried.add([_hurried(episode, steps) for episode in self._poor])
        return hurried

    def _imitate(self) -> None:
        """Make the agreed steps towards the demonstrated actions, with a jitter of random size."""
        examples = self._examples()
        self.clone.set_std(self.config.cloned_std)
        octaves = 2.0 * float(torch.rand((), generator=self._rng)) - 1.0
        jitter = None
        if not self._experiments:  # many motions vary enough, and jitter would blur the goal
            jitter = self.config.cloning_jitter * 2.0**octaves * examples.spread()
        optimiser = _adam(self.clone.parameters(), self.config.cloning_rate)
        for _ in range(self.config.cloning_updates):
            _step(optimiser, self._distance(self.clone, examples, jitter))
        if self._acting_clone:
            self.actor.load_state_dict(self.clone.state_dict())
            self.averaged.load_state_dict(self.clone.state_dict())

    def _distance(
        self, actor: SquashedActor, examples: Replay, jitter: Tensor | None = None
    ) -> Tensor:
        """Return the mean squared distance from the actions of some demonstrated steps.

        Args:
            actor: network whose distance is returned.
            examples: the demonstrations.
            jitter: (O,), standard deviation of the noise on the observations; None: no noise.
        """
        batch = examples.batch(examples.draw(self.config.batch, self._rng))
        observation = batch.observation
        if jitter is not None:
            noise = torch.randn(observation.shape, generator=self._rng)
            observation = observation + jitter * noise
        return functional.mse_loss(actor.mode(observation), batch.action)

    def _step(self, name: str, loss: Tensor) -> None:
        _step(self._optimisers[name], loss)

    def state_dict(self) -> dict[str, Tensor]:
        """See `Algorithm.state_dict`; episodes and demonstrations are not part of the state."""
        state = {"log_temperature": self.log_temperature.detach(), "rng": self._rng.get_state()}
        for name, net in self._networks().items():
            state |= prefixed(name, net.state_dict())
        for name, optimiser in self._optimisers.items():
            state |= prefixed(f"adam_{name}", optimizer_state.state_dict(optimiser))
        state |= prefixed("trials", self._trials.state_dict())
        counts = [
            self._episodes, self._updates, self._imitation_left, int(self._acting_clone)
        ]  # fmt: skip
        return state | {"counts": torch.tensor(counts)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See `Algorithm.load_state_dict`."""
        for name, net in self._networks().items():
            net.load_state_dict(part(state, name))
        for name, optimiser in self._optimisers.items():
            optimizer_state.load_state_dict(optimiser, part(state, f"adam_{name}"))
        self._trials.load_state_dict(part(state, "trials"))
        with torch.no_grad():
            self.log_temperature.copy_(state["log_temperature"])
        self._rng.set_state(state["rng"])
        counts = map(int, state["counts"])
        self._episodes, self._updates, self._imitation_left, acting_clone = counts
        self._acting_clone = bool(acting_clone)

    def _networks(self) -> dict[str, nn.Module]:
        return {
            "actor": self.actor,
            "averaged": self.averaged,
            "clone": self.clone,
            "critics": self.critics,
            "targets": self.targets,
        }


class _Means:
    """Running means of figures, which stay tensors until all updates are made."""

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Add a value of a figure."""
        self._values.setdefault(name, []).append(value)

    def means(self) -> dict[str, float]:
        """Return the mean of each figure."""
        return {name: float(torch.stack(values).mean()) for name, values in self._values.items()}


def _search(
    spaces: Spaces, config: RlpdConfig, seed: int, shown: Sequence[Episode]
) -> GaitSearch | None:
    """Return the search for own demonstrations; None: the settings ask for none.

    It begins with gaits like the demonstrations, which show no success.
    """
    if not config.own_demonstrations:
        return None
    if spaces.fingers is None:
        raise BadConfig(
            f"own_demonstrations is {config.own_demonstrations}; it must be 0 in a task without an "
            "object that has one error"
        )
    gaits = gaits_like(shown, spaces.fingers)
    return GaitSearch(spaces, seed, config.own_demonstrations, config.search_episodes, gaits)


def _experiments(spaces: Spaces, config: RlpdConfig) -> int:
    """Return the number of episodes to learn from in hindsight."""
    if config.hindsight_episodes and spaces.relabelling is None:
        raise BadConfig(
            f"hindsight_episodes is {config.hindsight_episodes}; it must be 0 in a task whose "
            "goals are no poses of the hand"
        )
    return config.hindsight_episodes


def _hurried(episode: Episode, steps: int) -> Episode:
    """Return an episode with the actions of some steps later, the last one repeated."""
    path, count = episode.trajectory, episode.steps
    later = np.minimum(np.arange(count) + steps, count - 1)
    return replace(episode, trajectory=replace(path, actions=path.actions[later]))


def _return(episode: Episode) -> float:
    return episode.episode_return


def _step(optimiser: torch.optim.Adam, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _adam(parameters: Iterable[Tensor], rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=rate, fused=True)


def _follow(average: nn.Module, net: nn.Module, rate: float) -> None:
    """Move the parameters of an averaged network towards those of a network."""
    averages: list[Tensor] = list(average.parameters())
    own: list[Tensor] = list(net.parameters())
    with torch.no_grad():
        torch._foreach_lerp_(averages, own, rate)


algorithm("rlpd", Method(RlpdConfig, Rlpd, Demonstrations.OPTIONAL, off_policy=True))
