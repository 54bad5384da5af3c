"""Imitation: which episodes are imitated, and how near the clone comes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handlab_core.environment.episode import Outcome
from handlab_core.tasks import make_task
from handlab_learning.models.squashed_actor import SquashedActor
from handlab_learning.off_policy.imitation import ELITE, Imitation, ImitationConfig
from handlab_learning.off_policy.replay import Replay

TASK = make_task("valve")
CONFIG = ImitationConfig(batch=16, cloning_updates=400, cloning_jitter=0.0)


@pytest.fixture
def own(episodes_of, squashed):
    rng = np.random.default_rng(0)
    return episodes_of(TASK, squashed, rng, lambda a: -np.abs(a - 0.3).sum(-1), count=9)


def told(episodes, strict):
    return [replace(episode, outcome=Outcome(strict, strict)) for episode in episodes]


def imitation_of(shown, config=CONFIG):
    torch.manual_seed(0)
    memory = Replay(TASK.spaces, 1, 0.97, 1.0, symmetric=False)
    actor = SquashedActor(TASK.spaces, (32,))
    return Imitation(config, memory, shown, actor, torch.Generator().manual_seed(0))


def test_successes_alone_are_imitated_where_there_are_any(own):
    imitation = imitation_of([*told(own[:2], True), *told(own[2:5], False)])
    assert imitation.demonstrations.episodes == 2
    assert len(imitation.failed) == 3 and not imitation.given


def test_the_first_own_success_takes_the_place_of_poor_demonstrations(own):
    [success] = told(own[4:5], True)
    imitation = imitation_of(told(own[:3], False))
    assert imitation.demonstrations.episodes == 3 and len(imitation.given) == 3
    assert list(imitation.consider(success)) == imitation.given, "they become ordinary episodes"
    assert imitation.demonstrations.episodes == 1
    assert not imitation.consider(success) and imitation.demonstrations.episodes == 2


def test_the_best_failures_are_imitated_before_a_success(own):
    imitation = imitation_of(told(own[:1], False))
    for episode in told(own[1:], False):
        assert not imitation.consider(episode)
    best = sorted((episode.episode_return for episode in own), reverse=True)[:ELITE]
    assert [episode.episode_return for episode in imitation._poor] == best


def test_a_clone_takes_the_demonstrated_actions(own):
    actions = np.full_like(own[0].trajectory.actions, 0.4)
    shown = [replace(e, trajectory=replace(e.trajectory, actions=actions)) for e in own[:3]]
    imitation = imitation_of(told(shown, True))
    before = float(imitation.distance(imitation.clone).detach())
    imitation.imitate()
    after = float(imitation.distance(imitation.clone).detach())
    assert after < 0.01 < before
