"""Trials: decide by episodes without noise which policy is handed out.

A policy that learns off-policy swings: it succeeds always at one moment and never some episodes
later. A trial freezes a copy of it, the challenger, and repeats it until it fails. A challenger
that succeeds often enough in a row becomes the champion, which stays until another one does better.
On a robot, the episodes of a trial are training episodes like others: they cost time, and the
learner learns from them.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from handlab_learning.models.policy_network import part, prefixed
from handlab_learning.models.squashed_actor import SquashedActor


class Trials:
    """The champion, the challenger, and the bookkeeping of both.

    Args:
        actor: network of the policies; it is copied.
        every: a trial begins after one episode less than this with other policies; 0: never.
        successes: number in a row after which the first champion is made. Later ones need twice as
            many.
    """

    def __init__(self, actor: SquashedActor, every: int, successes: int) -> None:
        self.champion, self.challenger = (
            copy.deepcopy(actor).requires_grad_(False) for _ in range(2)
        )
        self._every, self._successes = every, successes
        self.running = False
        """Whether the next episode is one of the challenger."""
        self.champions = 0
        """Number of champions so far."""
        self.hopeless = 0
        """Number of trials in a row of which the first episode failed."""
        self._waited = self._in_a_row = 0

    def begin(self, actor: SquashedActor) -> None:
        """Begin a trial of a copy of a policy, unless trials are switched off."""
        if self._every:
            self.challenger.load_state_dict(actor.state_dict())
            self.running, self._in_a_row = True, 0

    def after_other(self, actor: SquashedActor) -> None:
        """Count an episode of another policy than the challenger; begin a trial when it is due."""
        self._waited += 1
        if self._every and self._waited >= self._every - 1:
            self.begin(actor)

    def after_trial(self, success: bool) -> None:
        """Count an episode of the challenger."""
        self._in_a_row += success
        needed = self._successes * (2 if self.champions else 1)
        if success and self._in_a_row < needed:
            return
        self.hopeless = 0 if self._in_a_row else self.hopeless + 1
        self.running, self._waited = False, 0
        if success:
            self.champion.load_state_dict(self.challenger.state_dict())
            self.champions += 1

    def state_dict(self) -> dict[str, Tensor]:
        """Return the complete state."""
        running = int(self.running)
        counts = [running, self.champions, self.hopeless, self._waited, self._in_a_row]
        networks = prefixed("champion", self.champion.state_dict())
        networks |= prefixed("challenger", self.challenger.state_dict())
        return networks | {"counts": torch.tensor(counts)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a saved state."""
        self.champion.load_state_dict(part(state, "champion"))
        self.challenger.load_state_dict(part(state, "challenger"))
        counts = map(int, state["counts"])
        running, self.champions, self.hopeless, self._waited, self._in_a_row = counts
        self.running = bool(running)
