"""Imitation, trials without noise, and the policy that is handed out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handlab_core.environment.episode import Outcome
from handlab_core.tasks import make_task
from handlab_learning.algorithms.rlpd import PROMISING, Rlpd, RlpdConfig
from handlab_learning.off_policy.imitation import ELITE

TASK = make_task("valve")
SMALL = RlpdConfig(
    hidden=(8,), batch=16, update_ratio=0.5, first_episodes=1, cloned_first_episodes=1,
    cloning_updates=20, cloned_critic_warm_up=3, trial_every=3, trial_successes=2,
)  # fmt: skip


@pytest.fixture
def own(episodes_of, squashed):
    rng = np.random.default_rng(0)
    return episodes_of(TASK, squashed, rng, lambda a: -np.abs(a - 0.3).sum(-1), count=12)


def told(episode, strict):
    return replace(episode, outcome=Outcome(strict, strict))


def run(learner, episodes, outcomes):
    for episode, strict in zip(episodes, outcomes, strict=True):
        learner.update_meanwhile()
        learner.update([told(episode, strict)])


def test_what_is_handed_out_is_the_champion_while_learning_goes_on(own):
    learner, x = Rlpd(TASK.spaces, SMALL, 0), own[0].trajectory.observations
    run(learner, own[:3], [False] * 3)  # two after updates: a trial is due
    challenger = learner.policy()
    noisy = challenger.act(x[:-1], np.ones((len(x) - 1, TASK.hand.n)))
    np.testing.assert_allclose(noisy, challenger.act(x[:-1]), atol=0.01)
    run(learner, own[3:5], [True, True])
    before = learner.result().act(x)
    np.testing.assert_array_equal(before, challenger.act(x))
    run(learner, own[5:8], [False] * 3)
    np.testing.assert_array_equal(learner.result().act(x), before)
    assert not np.array_equal(learner.sac.averaged.to_numpy(1.0, 0).act(x), before)


def test_an_actor_that_learning_has_ruined_is_the_champion_again(own):
    config = replace(SMALL, trial_every=2, return_after=2, actor_rate=0.1, actor_every=1)
    learner, x = Rlpd(TASK.spaces, config, 0), own[0].trajectory.observations
    run(learner, own[:4], [False, False, True, True])
    champion = learner.result().act(x)
    run(learner, own[4:6], [False, False])  # another policy and a trial
    assert np.abs(learner.sac.averaged.to_numpy(1.0, 0).act(x) - champion).max() > 1e-3
    run(learner, own[6:8], [False, False])  # the second trial without a success
    np.testing.assert_allclose(learner.policy().act(x), champion, atol=1e-6)


def test_help_says_nothing_of_a_challenger(own):
    learner = Rlpd(TASK.spaces, SMALL, 0)
    run(learner, own[:3], [False] * 3)
    helped = replace(own[4], interventions=np.ones(own[4].steps))
    run(learner, [helped] * 3, [True] * 3)
    assert learner._trials.running and not learner._trials.champions
    run(learner, [helped], [False])
    assert learner._trials.running


def test_a_clone_is_tried_first(own):
    learner, x = Rlpd(TASK.spaces, SMALL, 0, own[:2]), own[0].trajectory.observations
    clone = learner.policy().act(x)
    run(learner, own[2:4], [True, True])
    np.testing.assert_array_equal(learner.result().act(x), clone)


def test_own_successes_become_demonstrations(own):
    learner = Rlpd(TASK.spaces, SMALL, 0)
    run(learner, own[:3], [False, True, False])
    assert len(learner.imitation.demonstrations) == own[1].steps
    helped = replace(own[3], interventions=np.ones(own[3].steps))
    run(learner, [helped], [True])
    assert len(learner.imitation.demonstrations) == own[1].steps + own[3].steps  # once, not twice
    other = Rlpd(TASK.spaces, replace(SMALL, own_successes=False), 0)
    run(other, own[:3], [False, True, False])
    assert not len(other.imitation.demonstrations)


@pytest.mark.parametrize("outcomes", [(0, 0, 1), (1, 1, 0)])
def test_failed_demonstrations_are_no_examples(own, outcomes):
    """They are in the memory of the run, because critics learn from failures, too."""
    shown = [told(e, bool(strict)) for e, strict in zip(own, outcomes, strict=False)]
    learner = Rlpd(TASK.spaces, SMALL, 0, shown)
    assert len(learner.imitation.demonstrations) == sum(outcomes) * own[0].steps
    assert learner.replay.episodes == 3 - sum(outcomes)
    learner.update(own[3:4])
    assert learner.update_meanwhile()["updates"] > 0


def test_demonstrations_without_success_are_hurried_until_there_is_one(own):
    """Slow ones end before the goal; a clone that is ahead of them arrives."""
    ramp = np.linspace(-0.8, 0.8, own[0].steps)[:, None] * np.ones(TASK.hand.n)
    path = replace(own[0].trajectory, actions=ramp)
    slow = [told(replace(own[0], trajectory=path), False)] * 2
    config = replace(SMALL, hidden=(64,), cloning_updates=1500, cloning_jitter=0.001)
    learner = Rlpd(TASK.spaces, config, 0, slow)
    seen = own[0].trajectory.observations[:4]
    lead = (learner.policy().act(seen) - ramp[:4]).mean() / (ramp[1, 0] - ramp[0, 0])
    assert -0.3 < lead < config.look_ahead + 0.3
    run(learner, own[1:3], [False, True])  # the clone, and it with noise
    assert len(learner.imitation.demonstrations) == own[2].steps and not learner.imitation._poor
    assert learner.replay.episodes == 4


@pytest.mark.parametrize("shown", [0, 2])
def test_a_resumed_run_tries_on_bit_for_bit(own, shown):
    outcomes = [False] * 3 + [True, True, True, False, True, True]
    given = [told(episode, False) for episode in own[10 : 10 + shown]]
    whole = Rlpd(TASK.spaces, SMALL, 5, given)
    run(whole, own[:9], outcomes)
    for reached in (4, 5, 7):
        part = Rlpd(TASK.spaces, SMALL, 5, given)
        run(part, own[:reached], outcomes[:reached])
        resumed = Rlpd(TASK.spaces, SMALL, 99, given)
        resumed.load_state_dict({k: v.clone() for k, v in part.state_dict().items()})
        resumed.recall([told(e, s) for e, s in zip(own[:reached], outcomes, strict=False)])
        run(resumed, own[reached:9], outcomes[reached:])
        for name, tensor in whole.state_dict().items():
            assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_clone_that_fails_gives_way_to_other_clones_before_the_actor_follows_critics(own):
    config = replace(SMALL, imitation_episodes=4, actor_every=1)
    learner, x = Rlpd(TASK.spaces, config, 0, own[:2]), own[0].trajectory.observations
    first = learner.policy().act(x)
    run(learner, own[2:3], [False])  # the first clone
    assert not learner._trials.running
    critics = learner.sac.critics.layers[0].detach().clone()
    run(learner, own[3:4], [True])  # with noise, while the next one is cloned
    assert len(learner.imitation.demonstrations) == 3 * own[0].steps
    assert not torch.equal(learner.sac.critics.layers[0], critics)
    second = learner.policy().act(x)
    assert learner._trials.running and not np.array_equal(second, first)
    run(learner, own[4:6], [True, True])
    np.testing.assert_array_equal(learner.result().act(x), second)
    actor = learner.sac.actor.net[0].weight.detach().clone()
    run(learner, own[6:7], [False])  # there is a champion: imitation is over
    assert not torch.equal(learner.sac.actor.net[0].weight, actor)


def test_imitation_ends_after_the_agreed_episodes(own):
    learner = Rlpd(TASK.spaces, replace(SMALL, imitation_episodes=3), 0, own[:2])
    for episode, last in zip(own[2:6], (False, False, False, True), strict=True):
        metrics = learner.update_meanwhile()
        learner.update([told(episode, False)])
        assert ("action_value" in metrics) == last


def test_the_first_own_success_is_cloned_at_once_beside_the_learning_actor(own):
    config = replace(SMALL, success_imitation_episodes=2, trial_every=99)
    learner, x = Rlpd(TASK.spaces, config, 0), own[0].trajectory.observations
    run(learner, own[:3], [False] * 3)
    assert not learner._trials.running
    explored = learner.policy().act(x)
    run(learner, own[3:4], [True])
    assert learner._trials.running
    clone = learner.policy().act(x)
    run(learner, own[4:6], [False, False])  # the clone, and it with noise
    assert learner._imitation_left == 0
    after = learner.policy().act(x)
    assert np.abs(after - explored).mean() < 0.2 * np.abs(clone - explored).mean()
    run(learner, own[6:7], [True])  # the second success
    assert learner._trials.running and learner._imitation_left == 2
    run(learner, own[7:9], [False, True])
    assert learner._imitation_left == 0
    run(learner, own[9:10], [False])
    assert not learner._trials.running
    run(learner, own[10:11], [True])  # the fourth: three were not enough
    assert learner._trials.running


def test_without_a_success_the_best_episodes_are_imitated(own):
    shown = [told(episode, False) for episode in own[:8]]
    learner = Rlpd(TASK.spaces, SMALL, 0, shown)
    good = replace(own[8].trajectory, rewards=np.full(own[8].steps, 9.0))
    learner.recall([told(replace(own[8], trajectory=good), False)])
    returns = [episode.episode_return for episode in learner.imitation._poor]
    best = sorted((episode.episode_return for episode in shown), reverse=True)
    assert returns == [9.0 * own[8].steps, *best[: ELITE - 1]]
    assert (
        len(learner.imitation.demonstrations) == 8 * own[0].steps
    )  # what critics learn from stays


def test_an_evaluation_is_worth_its_time_after_a_success_or_with_a_champion(own):
    learner = Rlpd(TASK.spaces, SMALL, 0)
    assert not learner.promising
    learner.recall([told(own[0], True)])  # as after a resume
    assert learner.promising
    learner.recall([told(episode, False) for episode in own[1 : 1 + PROMISING]])
    assert not learner.promising
    learner._trials.champions = 1
    assert learner.promising
