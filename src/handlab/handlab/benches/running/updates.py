"""Updates of the off-policy learner beside a bare torch loop of the same networks."""

import statistics
import time

import torch

from handlab.benches.result import Bench, Figure, Kept, Result
from handlab.experiments.task_kinds import local_sampler
from handlab_core.environment.episode import EpisodePlan
from handlab_core.tasks import make_task
from handlab_learning.algorithms.rlpd import Rlpd, RlpdConfig
from handlab_learning.models.critic_ensemble import CriticEnsemble
from handlab_learning.models.squashed_actor import SquashedActor

EPISODES = 10
ROUNDS = 9
BUSY = 2.0
"""Load of the machine above which the updates per second are not those of an idle one; both loops
take turns, so that their ratio hardly depends on it."""

LIMIT = 0.8
"""Smallest ratio: replay, averages and temperature leave this share of the bare loop's rate."""


def measure(seed: int) -> Result:
    """Make the same number of updates both ways, in turns, on one thread."""
    task, config = make_task("valve"), RlpdConfig(first_episodes=1)
    learner = Rlpd(task.spaces, config, seed)
    plan = EpisodePlan(seed, range(EPISODES))
    learner.update(list(local_sampler(task, 1, 1).sample(learner.policy(), plan)))
    bare = BareLoop(learner, config)
    updates = round(config.update_ratio * task.steps)
    learner.update_meanwhile()
    bare.run(updates)
    pairs = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        learner.update_meanwhile()
        middle = time.perf_counter()
        bare.run(updates)
        pairs.append((updates / (middle - began), updates / (time.perf_counter() - middle)))
    value = statistics.median(own for own, _ in pairs)
    ratio = statistics.median(own / other for own, other in pairs)
    details = {"rounds": pairs, "bare_ratio": ratio, "seed": seed}
    return Result(value, LIMIT * value / ratio, "updates/s", details)


class BareLoop:
    """Forward passes, gradients and Adam on one fixed batch; nothing else.

    Args:
        learner: its networks' sizes are taken.
        config: settings of the learner.
    """

    def __init__(self, learner: Rlpd, config: RlpdConfig) -> None:
        spaces = make_task("valve").spaces
        inputs = spaces.observation + spaces.action
        self._config, self._rng = config, torch.Generator().manual_seed(0)
        self._batch = learner.replay.batch(learner.replay.draw(config.batch, self._rng))
        self._actor = SquashedActor(spaces, config.hidden)
        self._critics, self._targets = (
            CriticEnsemble(config.critics, inputs, config.hidden) for _ in range(2)
        )
        self._optimisers = [
            torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)
            for net in (self._actor, self._critics)
        ]

    def run(self, updates: int) -> None:
        """Make updates of the critics and, every few times, of the actor."""
        batch, (of_actor, of_critics) = self._batch, self._optimisers
        members = torch.arange(self._config.subset)
        for number in range(updates):
            with torch.no_grad():
                action, _ = self._actor.sample(batch.following, self._rng)
                following = torch.cat((batch.following, action), -1)
                target = batch.reward + self._targets(following, members).amin(0)
            of_critics.zero_grad()
            (self._critics(batch.taken) - target).square().mean().backward()
            of_critics.step()
            if number % self._config.actor_every == 0:
                self._critics.requires_grad_(False)
                action, log_prob = self._actor.sample(batch.observation, self._rng)
                value = self._critics(torch.cat((batch.observation, action), -1))
                of_actor.zero_grad()
                (log_prob.mean() - value.mean()).backward()
                of_actor.step()
                self._critics.requires_grad_(True)


def _cell(result: Kept) -> str:
    busy = ", both on a busy machine" if result.get("load", 0.0) > BUSY else ""
    return f"**{result['bare_ratio']:.2f}** ({result['value']:.0f} updates/s{busy})"


BENCH = Bench(
    measure,
    figure=Figure(
        "updates of soft actor-critic beside a bare torch loop of the same networks",
        "ratio 0.8",
        _cell,
    ),
)
