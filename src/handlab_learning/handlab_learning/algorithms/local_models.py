"""Trajectory optimisation with learned local models.

Levine and Abbeel, "Learning neural network policies with guided policy search under unknown
dynamics", NIPS 2014; Kumar, Todorov and Levine, "Optimal control with learned local models:
application to dexterous manipulation", ICRA 2016. An iteration:

    run a few episodes of a time-varying linear-Gaussian controller
    fit linear dynamics to each of their steps       `linear_dynamics`
    expand the reward around their states            `quadratic_cost`
    improve the controller within a KL divergence    `lqr`

The first controller repeats the actions of the best of some episodes with random periodic motions,
or those of a demonstration. Where starts differ, several controllers share the work: the one whose
start is nearest acts (Kumar, Gupta, Todorov and Levine, arXiv:1611.05095). Their actions can be
cloned into one network; see `distillation`.

With `object_centric`, demonstrations show the motion of the object alone, and each controller
follows those that it comes near; see `shown_motions`.

Not published is the hold at the goal, which stops the clock of a controller; see `Hold`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from handlab_core.environment.episode import Episode
from handlab_core.environment.hold import Hold
from handlab_core.environment.policies.linear_policy import LinearPolicy
from handlab_core.environment.policies.policy import Policy
from handlab_core.environment.policies.random_motion import RandomMotion
from handlab_core.errors import BadConfig
from handlab_core.system.validation import Count, Flag, Index, NotNegative, Positive, checked
from handlab_core.tasks.sizes import Spaces
from handlab_core.tasks.task import NOISE_STREAM, episode_rng
from handlab_core.types import Array
from handlab_learning.algorithms.algorithm import Algorithm, Demonstrations, Method, algorithm
from handlab_learning.algorithms.bc import CloningConfig
from handlab_learning.algorithms.distillation import distil
from handlab_learning.local_control import linear_dynamics, lqr, quadratic_cost, shown_motions
from handlab_learning.local_control.linear_dynamics import LinearDynamics
from handlab_learning.local_control.lqr import LinearController, QuadraticCost
from handlab_learning.local_control.shown_motions import ShownMotions
from handlab_learning.models.gaussian_mixture import GaussianMixture, fit_mixture
from handlab_learning.models.policy_network import Widths, part, prefixed

log = logging.getLogger(__name__)

PRIOR_STREAM = 11
"""Number of the random stream that begins the fit of the prior."""

START_VARIANCE = 1e-6
"""Variance added to the first state; cbfinn/gps."""

SmallStd = Annotated[Positive, Field(le=1)]
"""Standard deviation of an action; its range is [-1, 1]."""


@checked
class LocalModelsConfig:
    """Settings; without a source: the best median of eight seeds on the valve."""

    episodes_per_iteration: Annotated[Count, Field(ge=2, le=1000)] = 5
    """Episodes of an iteration; cbfinn/gps on a PR2."""
    search_iterations: Index = 4
    """Largest number of iterations with random motions before the first model, without
    demonstrations. The search ends when a motion has succeeded."""
    search_std: SmallStd = 0.5
    """Standard deviation of the actions of random motions."""
    shortest_period: Annotated[Count, Field(ge=2, le=1000)] = 12
    """Steps; shortest period of random motions."""
    longest_period: Annotated[Count, Field(ge=2, le=1000)] = 24
    """Steps; longest period of random motions."""
    hold: NotNegative = 0.25
    """rad; error of an object below which motions and controllers hold their last action. Without
    this, the object of a motion that is repeated by time alone goes on behind the goal."""
    std: SmallStd = 0.1
    """Standard deviation of the actions of the first controller."""
    least_std: SmallStd = 0.05
    """Lower limit of the standard deviation in each direction of the actions: without variation
    there is nothing to fit."""
    most_std: SmallStd = 0.5
    """Upper limit of the same."""
    noise_exponent: Annotated[NotNegative, Field(le=4)] = 0.0
    """Power spectrum 1/f^exponent of the exploration noise; 0: white, as the theory has it."""
    kl: Positive = 1.0
    """KL divergence of an iteration in each step; 0.2 in cbfinn/gps."""
    least_multiplier: Annotated[Positive, Field(le=1)] = 0.1
    """Lower limit of the adapted factor of `kl`; 0.01 in cbfinn/gps."""
    prior_strength: Positive = 1.0
    """Number of samples that the prior of the dynamics is worth; cbfinn/gps."""
    prior_episodes: Annotated[Count, Field(le=1000)] = 20
    """Newest episodes that the prior is fitted to; cbfinn/gps."""
    most_clusters: Annotated[Count, Field(le=100)] = 20
    """Largest number of clusters of the prior; cbfinn/gps."""
    blur: Positive = 0.2
    """Standard deviation of the Gaussian that blurs the reward, in units of the state: rad for the
    error of an object."""
    action_cost: NotNegative = 0.01
    """Weight of half the square of each action, in units of the reward."""
    controllers: Annotated[Count, Field(le=64)] = 1
    """Number of controllers; more than one where starts differ."""
    object_centric: Flag = False
    """Follow the motion of the object in demonstrations, in place of the reward; their actions do
    not count."""
    distilled: Flag = False
    """Whether the network that clones the controllers is evaluated and handed out, instead of
    them."""
    hidden: Widths = (64, 64)
    """Widths of the hidden layers of this network."""
    cloning: CloningConfig = field(default_factory=CloningConfig)

    def __post_init__(self) -> None:
        """Check the combination."""
        if self.shortest_period > self.longest_period:
            raise BadConfig(
                f"shortest_period is {self.shortest_period}; it must be at most longest_period, "
                f"{self.longest_period}"
            )


@dataclass(frozen=True)
class _Local:
    """One controller, and how its last improvement went."""

    controller: LinearController
    multiplier: float = 1.0  # factor of the KL divergence
    eta: float = 1.0  # dual variable
    cost: float = 0.0  # mean of the episodes before the last improvement
    predicted: float = 0.0  # reduction of it that the model predicted
    improved: bool = False  # whether there was one


class LocalModels(Algorithm):
    """Improves time-varying linear-Gaussian controllers by models of their neighbourhood."""

    remembers = True

    def __init__(
        self,
        spaces: Spaces,
        config: LocalModelsConfig,
        seed: int,
        demonstrations: Sequence[Episode] = (),
    ) -> None:
        torch.set_num_threads(1)  # the networks are too small for more to help
        self.config, self._spaces, self._seed = config, spaces, seed
        self._form = spaces.state_form
        self._hold = Hold.of_task(spaces, config.hold)
        self._iteration = 0
        searched = config.search_iterations * config.episodes_per_iteration
        self._memory = max(config.prior_episodes, searched)
        self._recent: list[Episode] = []
        still = np.zeros((spaces.steps, spaces.action))
        self._locals = [_Local(_open_loop(still, config.search_std, self._form.size))]
        self._starts = np.zeros((1, spaces.observation))
        self._shown: ShownMotions | None = None
        if config.object_centric:
            self._shown, demonstrations = _shown(spaces, demonstrations), ()
        self._searching = not demonstrations and config.search_iterations > 0
        self._distilled: tuple[int, Policy] | None = None
        if not self._searching:
            self._begin(demonstrations)

    def policy(self) -> Policy:
        """Return the controllers, which explore; during the search, random motions."""
        return self._motions(2 * self._iteration) if self._searching else self.controllers()

    def _motions(self, version: int) -> RandomMotion:
        config = self.config
        periods = config.shortest_period, config.longest_period
        return RandomMotion.of_task(self._spaces, config.search_std, periods, version, config.hold)

    def controllers(self) -> LinearPolicy:
        """Return the controllers; before the first one, a controller that does nothing."""
        controllers = [local.controller for local in self._locals]
        return LinearPolicy(
            np.stack([c.gain for c in controllers]),
            np.stack([c.offset for c in controllers]),
            np.linalg.cholesky(np.stack([c.covariance for c in controllers])),
            self._starts,
            self._form,
            self.config.noise_exponent,
            2 * self._iteration,
            self._hold,
        )

    def result(self) -> Policy:
        """Return the controllers, or the network that clones them."""
        if not self.config.distilled or self._searching or not self._recent:
            return self.policy()
        version = 2 * self._iteration + 1
        if self._distilled is None or self._distilled[0] != version:
            config, episodes = self.config, self._recent
            net = distil(
                self.controllers(),
                episodes,
                self._spaces,
                config.hidden,
                config.cloning,
                self._seed,
            )
            self._distilled = version, net.to_numpy(version)
        return self._distilled[1]

    def update(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Improve each controller that has enough episodes; during the search, only remember."""
        self._iteration += 1
        self.recall(episodes)
        if self._searching:
            found = any(episode.success for episode in episodes)
            if found or self._iteration >= self.config.search_iterations:
                self._begin(self._recent)
                self._searching = False
            return {"searching": float(self._searching)}
        prior = self._prior()
        improved, groups = 0, self._nearest(episodes)
        goals = self._goals(groups)
        for number, (local, own) in enumerate(zip(self._locals, groups, strict=True)):
            if len(own) < 2:
                continue
            try:
                self._locals[number] = self._improved(local, own, prior, goals.get(number))
                improved += 1
            except np.linalg.LinAlgError as error:
                log.warning("controller %d stays as it is: %s", number, error)
        std = np.mean([np.trace(x.controller.covariance, axis1=1, axis2=2) for x in self._locals])
        return {
            "improved_controllers": float(improved),
            "kl_multiplier": float(np.mean([local.multiplier for local in self._locals])),
            "eta": float(np.mean([local.eta for local in self._locals])),
            "predicted_gain": float(np.mean([local.predicted for local in self._locals])),
            "policy_std": float(np.sqrt(std / self._spaces.action)),
        }

    def _nearest(self, episodes: Sequence[Episode]) -> list[list[Episode]]:
        """Return the episodes that each controller acted in."""
        groups: list[list[Episode]] = [[] for _ in self._locals]
        if episodes:
            chosen = self.controllers().nearest(_first_observations(episodes))
            for episode, number in zip(episodes, chosen, strict=True):
                groups[number].append(episode)
        return groups

    def _goals(self, groups: Sequence[Sequence[Episode]]) -> dict[int, Array]:
        """Return what each controller with enough episodes follows of the shown motions, (T + 1,).

        Motions that are out of reach have no share in it.
        """
        numbers = [number for number, own in enumerate(groups) if len(own) >= 2]
        if self._shown is None or not numbers:
            return {}
        shown = self._shown
        paths = [self._paths(groups[number])[0][..., self._error] for number in numbers]
        shares = shown_motions.assigned(shown.distances(paths))
        return {n: shown.goals(row) for n, row in zip(numbers, shares, strict=True)}

    @property
    def _error(self) -> int:
        """Number of the error of the object in the state."""
        fingers = self._spaces.fingers
        return 0 if fingers is None else self._form.elements.index(fingers.error)

    def _prior(self) -> GaussianMixture:
        """Return the mixture over the transitions of the newest episodes."""
        states, actions = self._paths(self._recent[-self.config.prior_episodes :])
        points = linear_dynamics.transitions(states, actions)
        points = points.reshape(-1, points.shape[2])
        count = linear_dynamics.clusters(len(points), self.config.most_clusters)
        rng = np.random.default_rng((self._seed, PRIOR_STREAM, self._iteration))
        return fit_mixture(points, count, rng)

    def _improved(
        self,
        local: _Local,
        episodes: Sequence[Episode],
        prior: GaussianMixture,
        goals: Array | None,
    ) -> _Local:
        """Return a controller after one improvement from its own episodes."""
        config, old = self.config, local.controller
        states, actions = self._paths(episodes)
        dynamics = linear_dynamics.fit(states, actions, prior, config.prior_strength)
        if goals is None:
            cost = self._cost(states, actions, episodes)
            measured = -float(np.mean([episode.episode_return for episode in episodes]))
        else:
            model = shown_motions.follow(goals, self._error, self._form.size)
            cost = quadratic_cost.quadratic(*model, self._spaces.action, config.action_cost)
            away = np.square(states[..., self._error] - goals) - np.square(goals)
            measured = float(away[:, 1:].sum(axis=1).mean())
        multiplier = local.multiplier
        if local.improved:
            multiplier = lqr.adapted(multiplier, local.predicted, local.cost - measured)
            multiplier = max(multiplier, config.least_multiplier)
        start = _start(states[:, 0])
        limit = config.kl * multiplier * self._spaces.steps
        found = lqr.improve(dynamics, cost, old, start, limit, local.eta)
        predicted = self._expected(dynamics, cost, old, start) - found.cost
        covariance = _limited(found.controller.covariance, config.least_std, config.most_std)
        controller = replace(found.controller, covariance=covariance)
        return _Local(controller, multiplier, found.eta, measured, predicted, improved=True)

    def _expected(
        self,
        dynamics: LinearDynamics,
        cost: QuadraticCost,
        controller: LinearController,
        start: tuple[Array, Array],
    ) -> float:
        return lqr.expected_cost(cost, lqr.forward(dynamics, controller, start))

    def _cost(self, states: Array, actions: Array, episodes: Sequence[Episode]) -> QuadraticCost:
        """Return the quadratic cost around some episodes."""
        after, size = states[:, 1:], self._spaces.observation
        reward = self._spaces.reward
        if reward is not None:
            known = reward
            slope, curvature = quadratic_cost.expand(
                lambda state: known(*self._form.split(state, size)),
                after,
                np.full(self._form.size, self.config.blur),
            )
            model = quadratic_cost.around(after, slope, curvature)
        else:
            costs = -np.stack([_padded(e.trajectory.rewards, self._spaces.steps) for e in episodes])
            gradient, curvature = quadratic_cost.fitted(
                after.reshape(-1, after.shape[2]),
                actions.reshape(-1, actions.shape[2]),
                costs.ravel(),
            )
            steps = self._spaces.steps
            model = np.tile(gradient, (steps, 1)), np.tile(curvature, (steps, 1))
        return quadratic_cost.quadratic(*model, self._spaces.action, self.config.action_cost)

    def _paths(self, episodes: Sequence[Episode]) -> tuple[Array, Array]:
        """Return states (N, T + 1, X) and actions (N, T, U) up to the first hold, which lasts.

        So does the end of a short episode.
        """
        steps, states, actions = self._spaces.steps, [], []
        for path in (episode.trajectory for episode in episodes):
            held = np.flatnonzero(self._hold.at(path.observations[1:]))
            end = int(held[0]) + 1 if len(held) else len(path.actions)
            states.append(_padded(self._form.states(path.observations[: end + 1]), steps + 1))
            actions.append(_padded(np.clip(path.actions[:end], -1.0, 1.0), steps))
        return np.stack(states), np.stack(actions)

    def _begin(self, episodes: Sequence[Episode]) -> None:
        """Begin with the actions of the best of some episodes, near each of several starts."""
        size, steps, std = self._form.size, self._spaces.steps, self.config.std
        if not episodes:
            still = np.zeros((steps, self._spaces.action))
            self._locals = [_Local(_open_loop(still, std, size))]
            return
        firsts = _first_observations(episodes)
        self._starts, belongs = spread_starts(firsts, self.config.controllers)
        self._locals = []
        for number in range(len(self._starts)):
            own = [e for e, chosen in zip(episodes, belongs, strict=True) if chosen == number]
            best = max(own, key=self._worth)
            actions = np.clip(_padded(self._planned(best), steps), -1.0, 1.0)
            self._locals.append(_Local(_open_loop(actions, std, size)))

    def _worth(self, episode: Episode) -> float:
        """Return the return of an episode; with shown motions, how near it comes to one."""
        if self._shown is None:
            return episode.episode_return
        path = self._paths([episode])[0][..., self._error]
        return -float(self._shown.distances([path]).min())

    def _planned(self, episode: Episode) -> Array:
        """Return the actions of an episode, (T, U); of a random motion those without a hold."""
        if not self._searching:
            return episode.trajectory.actions
        rng = episode_rng(episode.key.seed, episode.number, NOISE_STREAM)
        motions = self._motions(episode.key.policy_version)
        return motions.actions(motions.noise(rng, self._spaces.steps))

    def recall(self, episodes: Sequence[Episode]) -> None:
        """See `Algorithm.recall`."""
        self._recent = (self._recent + list(episodes))[-self._memory :]

    def state_dict(self) -> dict[str, Tensor]:
        """See `Algorithm.state_dict`; episodes are not part of the state."""
        state = {"counts": torch.tensor([self._iteration, int(self._searching)])}
        for number, (local, start) in enumerate(zip(self._locals, self._starts, strict=True)):
            controller = local.controller
            arrays = {
                "gain": controller.gain,
                "offset": controller.offset,
                "covariance": controller.covariance,
                "start": start,
                "improvement": np.array([local.multiplier, local.eta, local.cost, local.predicted]),
                "improved": np.array([float(local.improved)]),
            }
            named = {name: torch.tensor(array) for name, array in arrays.items()}
            state |= prefixed(f"local_{number}", named)
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See `Algorithm.load_state_dict`."""
        self._iteration, self._searching = int(state["counts"][0]), bool(state["counts"][1])
        self._locals, starts = [], []
        while own := part(state, f"local_{len(self._locals)}"):
            arrays = {name: tensor.numpy().copy() for name, tensor in own.items()}
            controller = LinearController(arrays["gain"], arrays["offset"], arrays["covariance"])
            multiplier, eta, cost, predicted = (float(n) for n in arrays["improvement"])
            improved = bool(arrays["improved"][0])
            self._locals.append(_Local(controller, multiplier, eta, cost, predicted, improved))
            starts.append(arrays["start"])
        self._starts = np.stack(starts)


def _shown(spaces: Spaces, demonstrations: Sequence[Episode]) -> ShownMotions:
    """Return the motions of the object in demonstrations; raise BadConfig if there are none."""
    if spaces.fingers is None:
        raise BadConfig("object_centric needs a task with an object whose error is observed")
    if not demonstrations:
        raise BadConfig("object_centric needs motions of the object; give a bag with --demos")
    error = spaces.fingers.error
    motions = [episode.trajectory.observations[:, error] for episode in demonstrations]
    return ShownMotions.of(motions, spaces.steps)


def spread_starts(firsts: Array, count: int, rounds: int = 10) -> tuple[Array, Array]:
    """Return centres of first observations (N, O), (M, O), and the centre of each, (N,).

    Lloyd's algorithm from centres that are far from each other; empty clusters are left out.

    Args:
        firsts: (N, O).
        count: largest number of centres.
        rounds: iterations.
    """
    chosen = [0]
    while len(chosen) < min(count, len(firsts)):
        away = np.square(firsts[:, None] - firsts[chosen]).sum(2).min(axis=1)
        chosen.append(int(away.argmax()))
    centres = firsts[chosen]
    for _ in range(rounds):
        belongs = np.square(firsts[:, None] - centres).sum(2).argmin(axis=1)
        kept, belongs = np.unique(belongs, return_inverse=True)
        centres = np.stack([firsts[belongs == i].mean(axis=0) for i in range(len(kept))])
    return centres, belongs


def _first_observations(episodes: Sequence[Episode]) -> Array:
    return np.stack([episode.trajectory.observations[0] for episode in episodes])


def _open_loop(actions: Array, std: float, states: int) -> LinearController:
    """Return the controller that repeats actions (T, U), whatever the state."""
    steps, size = actions.shape
    covariance = np.tile(std**2 * np.eye(size), (steps, 1, 1))
    return LinearController(np.zeros((steps, size, states)), actions.copy(), covariance)


def _padded(rows: Array, length: int) -> Array:
    """Return the first rows (length, ...); the last one repeats."""
    return rows[np.minimum(np.arange(length), len(rows) - 1)]


def _start(states: Array) -> tuple[Array, Array]:
    """Return mean and covariance of first states (N, X)."""
    covariance = np.cov(states.T).reshape(states.shape[1], -1)
    return states.mean(axis=0), covariance + START_VARIANCE * np.eye(states.shape[1])


def _limited(covariance: Array, least: float, most: float) -> Array:
    """Return covariances (T, U, U) with the standard deviation in each direction limited."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.clip(values, least**2, most**2)
    limited: Array = (vectors * values[:, None]) @ vectors.transpose(0, 2, 1)
    return (limited + limited.transpose(0, 2, 1)) / 2


algorithm(
    "local_models",
    Method(LocalModelsConfig, LocalModels, demonstrations=Demonstrations.OPTIONAL),
)
