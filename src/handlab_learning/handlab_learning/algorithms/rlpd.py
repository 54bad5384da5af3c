"""Soft actor-critic with prior data (RLPD; Ball et al., arXiv:2302.02948).

The learner is `off_policy.soft_actor_critic`. Around it there are

- many updates per step (REDQ; Chen et al., arXiv:2101.05982),
- half of each batch from demonstrations (RLPD),
- noise that is correlated over an episode (Eberhard et al., ICLR 2023),
- a critic that learns from all known episodes before the actor does, and rare updates of the actor
  (ResFiT; arXiv:2509.19301),
- a search for demonstrations of its own, and trials of its policies.

Steps in which an intervener acted are in both memories: that of the run, and that of the
demonstrations (HIL-SERL; arXiv:2410.21845).

Where goals are poses of the hand, the robot may begin with an experiment: slow random motions, in
hindsight, are demonstrations of how to reach the poses that they came by (Andrychowicz et al.,
arXiv:1707.01495; Ghosh et al., arXiv:1912.06088). A clone of them is the first policy. Critics may
learn from every episode again with goals that it reached (`other_goals`; Andrychowicz et al.).

An iteration is one episode. The updates that an episode pays for are made while the next episode
runs, so that the robot never waits for them.
"""

import copy
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

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
    Positive,
    checked,
)
from handlab_core.tasks.sizes import Spaces
from handlab_core.tasks.task import episode_rng
from handlab_learning.algorithms.algorithm import Algorithm, Demonstrations, Method, algorithm
from handlab_learning.exploration.gait_fit import gaits_like
from handlab_learning.exploration.gait_search import GaitSearch
from handlab_learning.exploration.hindsight import in_hindsight, with_other_goals
from handlab_learning.models.policy_network import part, prefixed
from handlab_learning.models.squashed_actor import SquashedActor
from handlab_learning.off_policy.imitation import Imitation, ImitationConfig
from handlab_learning.off_policy.replay import Batch, Replay
from handlab_learning.off_policy.soft_actor_critic import (
    SmallCount,
    SoftActorCritic,
    SoftActorCriticConfig,
)
from handlab_learning.off_policy.trials import Trials

LOOK_EVERY = 0.1
"""Seconds between two calls of `enough` during updates: a cancelled run ends at once."""

GOAL_STREAM = 10
"""Number of the random stream of other goals."""

PROMISING = 5
"""Newest episodes, one of which must be a success before an evaluation is worth its time."""


@checked
class RlpdConfig(SoftActorCriticConfig, ImitationConfig):
    """Settings; without a source: the best median among some variants on the valve."""

    update_ratio: Positive = 4.0
    """Updates of the critics per step of the robot; 20 in RLPD."""
    actor_every: Count = 4
    """Updates of the critics for each update of the actor; 1 in SAC, 20 in RLPD, 2 to 8 in
    ResFiT."""
    gamma: Annotated[Fraction, Field(gt=0)] = 0.97
    """Discount factor of a step; 0.96 to 0.985 in HIL-SERL at the same 10 Hz."""
    n_step: SmallCount = 3
    """Steps of a transition; ResFiT. Entropy counts from the state after them on."""
    reward_scale: Positive = 0.02
    """Factor of the rewards. It brings the values of a task to the order of 1; with larger values
    the critics spend thousands of updates on their size."""
    symmetries: Flag = True
    """Whether transitions are repeated with alike fingers exchanged, where a task has such."""
    temperature: Positive = 0.02
    """Initial temperature alpha, in the unit of the scaled rewards."""
    noise_exponent: Annotated[NotNegative, Field(le=4)] = PINK
    """Power spectrum of the exploration noise, 1/f^exponent; 1 in Eberhard et al. White noise (0)
    on position targets hardly moves a hand."""
    first_episodes: Count = 5
    """Episodes before the first update; 5,000 steps in RLPD's commands."""
    critic_warm_up: Index = 0
    """Updates of the critics before the first update of the actor; 5,000 steps in WSRL."""

    demonstration_fraction: Fraction = 0.5
    """Part of each batch that comes from the demonstrations, if there are any; RLPD."""
    cloned_critic_warm_up: Index = 1000
    """Updates of the critics before the first update of a cloned actor. Critics that know nothing
    destroy what was cloned; ResFiT."""
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
    other_goals: Annotated[Index, Field(le=64)] = 0
    """Number of goals, which an episode reached, with which the critics learn from it again; 4 in
    hindsight experience replay (HER)."""
    other_goal_fraction: Fraction = 0.5
    """Part of a batch, without its demonstrations, that has other goals; 0.8 in HER."""
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
        self.config, self._spaces, self._observed = config, spaces, observed
        self._rng = torch.Generator().manual_seed(seed)
        cloned = bool(demonstrations)
        initial = config.cloned_temperature if cloned else config.temperature
        actor = make_actor() if make_actor else None
        self.sac = SoftActorCritic(spaces, config, initial, self._rng, actor)
        form = config.n_step, config.gamma, config.reward_scale
        self.replay = Replay(spaces, *form, symmetric=config.symmetries)
        _check_other_goals(spaces, config)
        self._other_goals = self.replay.emptied()
        self._experiments = 0 if cloned else _experiments(spaces, config)
        hindsight = None
        if self._experiments:
            hindsight = Replay(spaces, *form, symmetric=config.symmetries)
        # At a symmetric start, exchanged demonstrations would contradict each other.
        shown = Replay(spaces, *form, symmetric=False)
        self.imitation = Imitation(
            config, shown, demonstrations, self.sac.actor, self._rng, hindsight
        )
        self.replay.add(self.imitation.failed)
        self._search = _search(spaces, config, seed, self.imitation)
        self._gait: GaitPolicy | None = None  # what the search found
        self._first = config.cloned_first_episodes if cloned else config.first_episodes
        self._first = max(self._first, self._experiments) + self.replay.episodes
        knows_much = cloned or self._experiments
        self._warm_up = config.cloned_critic_warm_up if knows_much else config.critic_warm_up
        self._episodes = self._updates = self._newest_steps = 0
        self._newest: deque[bool] = deque(maxlen=PROMISING)  # whether they succeeded
        self._trials = Trials(self.sac.actor, config.trial_every, config.trial_successes)
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
            return self.sac.actor.to_numpy(BROWN, 2 * self._episodes)
        if self._trials.running:
            return self._steady(self._trials.challenger, 2 * self._episodes)
        actor = self.imitation.clone if self._imitation_left else self.sac.actor
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
        return self.sac.averaged.to_numpy(self.config.noise_exponent, version)

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
        if search.ended and (search.found or self.imitation.given):
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
            self._trials.begin(self.imitation.clone)
        elif self._updates > self._warm_up:
            self._trials.after_other(self.sac.averaged)

    def _return_to_champion(self) -> None:
        """Begin with the champion again when learning has led nowhere since."""
        if self._trials.hopeless < self.config.return_after:
            return
        self.sac.act_as(self._trials.champion)
        self._trials.hopeless = 0

    def _first_success(self, episode: Episode) -> bool:
        """Whether an episode is one of the few successes from which clones are worth a try.

        They are the first success, the second, the fourth and so on, as long as there is no
        champion: the more the robot has succeeded, the less another clone tells.
        """
        if self._trials.champions or self._trials.running or self._imitation_left:
            return False
        count = self.imitation.demonstrations.episodes
        return self.config.own_successes and episode.outcome.solved and not count & (count - 1)

    def recall(self, episodes: Sequence[Episode]) -> None:
        """See `Algorithm.recall`."""
        for episode in map(self._observed, episodes):
            self.replay.add([episode])
            self.imitation.demonstrations.add([episode], intervened=True)
            if self.imitation.hindsight is not None:
                steps = self.config.hindsight_steps
                self.imitation.hindsight.add([in_hindsight(episode, self._spaces, steps)])
            if self.config.other_goals:
                rng = episode_rng(episode.key.seed, episode.number, GOAL_STREAM)
                goals = self.config.other_goals
                self._other_goals.add(with_other_goals(episode, self._spaces, goals, rng))
            self._newest.append(episode.success)
            if self._search is not None:
                self._search.tell(episode)
                if self._search.ended:
                    self._begin_with(self._search)
            elif self.config.own_successes and not episode.intervention_rate:
                self.replay.add(self.imitation.consider(episode))
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
        return record.means() | {"updates": float(due), "temperature": self.sac.temperature}

    def _update(self, record: "_Means") -> None:
        """Update the critics and, every few times, the actor and the temperature."""
        batch = self._draw()
        record.add("critic_loss", self.sac.update_critics(batch))
        self._updates += 1
        late = self._updates - self._warm_up
        imitating = self._acting_clone and self._imitation_left
        if late > 0 and late % self.config.actor_every == 0 and not imitating:
            self._acting_clone = False
            shown = len(self.imitation.demonstrations) > 0
            value, log_prob = self.sac.update_actor(
                batch.observation, self._distance if shown else None
            )
            self.sac.update_temperature(log_prob)
            record.add("action_value", value)
            record.add("entropy", -log_prob)

    def _distance(self) -> Tensor:
        return self.imitation.distance(self.sac.actor)

    def _draw(self) -> Batch:
        """Draw a batch, the agreed part of it from the demonstrations."""
        config, shown = self.config, self.imitation.demonstrations
        given = round(config.demonstration_fraction * config.batch) if len(shown) else 0
        again = config.other_goal_fraction if len(self._other_goals) else 0.0
        other = round(again * (config.batch - given))
        parts = (
            (self.replay, config.batch - given - other),
            (shown, given),
            (self._other_goals, other),
        )
        rows = [memory.draw(part, self._rng) for memory, part in parts if part]
        return self.replay.batch(torch.cat(rows))

    def _begin_with(self, search: GaitSearch) -> None:
        """Learn from the demonstrations that a search found, if any."""
        self._search = None
        for episode in search.found:
            self.replay.add(self.imitation.consider(episode))
        if search.found:
            self._gait = search.best(0) if search.succeeded else None
            self._warm_up = self.config.cloned_critic_warm_up

    def _begin_as_found(self) -> None:
        """Begin with a clone of what the robot has found out on its own."""
        self.sac.temperature = self.config.cloned_temperature
        self._begin_with_clone()

    def _begin_with_clone(self) -> None:
        """Clone the demonstrations, and begin with the clone as actor."""
        self._acting_clone = True
        self._begin_imitation(self.config.imitation_episodes)

    def _begin_imitation(self, episodes: int) -> None:
        """Clone the demonstrations, and try the clone and others after it for some episodes."""
        self._imitate()
        self._trials.begin(self.imitation.clone)
        if self._trials.running:
            self._imitation_left = episodes

    def _imitate(self) -> None:
        """Bring the clone nearer to the demonstrations, and the actor with it, if it is one."""
        self.imitation.imitate()
        if self._acting_clone:
            self.sac.act_as(self.imitation.clone)

    def state_dict(self) -> dict[str, Tensor]:
        """See `Algorithm.state_dict`; episodes and demonstrations are not part of the state."""
        state = self.sac.state_dict() | prefixed("clone", self.imitation.clone.state_dict())
        state |= prefixed("trials", self._trials.state_dict())
        counts = [
            self._episodes, self._updates, self._imitation_left, int(self._acting_clone)
        ]  # fmt: skip
        return state | {"counts": torch.tensor(counts), "rng": self._rng.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See `Algorithm.load_state_dict`."""
        self.sac.load_state_dict(state)
        self.imitation.clone.load_state_dict(part(state, "clone"))
        self._trials.load_state_dict(part(state, "trials"))
        self._rng.set_state(state["rng"])
        counts = map(int, state["counts"])
        self._episodes, self._updates, self._imitation_left, acting_clone = counts
        self._acting_clone = bool(acting_clone)


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
    spaces: Spaces, config: RlpdConfig, seed: int, imitation: Imitation
) -> GaitSearch | None:
    """Return the search for own demonstrations; None: there is a success, or none is asked for.

    It begins with gaits like the demonstrations, which show no success.
    """
    solved = imitation.demonstrations.episodes > len(imitation.given)
    if solved or not config.own_demonstrations:
        return None
    if spaces.fingers is None:
        raise BadConfig(
            f"own_demonstrations is {config.own_demonstrations}; it must be 0 in a task without an "
            "object that has one error"
        )
    gaits = gaits_like(imitation.given, spaces.fingers)
    return GaitSearch(spaces, seed, config.own_demonstrations, config.search_episodes, gaits)


def _experiments(spaces: Spaces, config: RlpdConfig) -> int:
    """Return the number of episodes to learn from in hindsight."""
    if config.hindsight_episodes and (spaces.relabelling is None or spaces.fingers is not None):
        raise BadConfig(
            f"hindsight_episodes is {config.hindsight_episodes}; it must be 0 in a task whose "
            "goals are no poses of the hand"
        )
    return config.hindsight_episodes


def _check_other_goals(spaces: Spaces, config: RlpdConfig) -> None:
    if config.other_goals and (spaces.relabelling is None or spaces.reward is None):
        raise BadConfig(
            f"other_goals is {config.other_goals}; it must be 0 in a task whose goals cannot be "
            "others afterwards"
        )


algorithm("rlpd", Method(RlpdConfig, Rlpd, Demonstrations.OPTIONAL, off_policy=True))
