"""Soft actor-critic: targets by hand, the temperature, and the pull of demonstrations."""

from dataclasses import replace

import pytest
import torch

from handlab_core.errors import BadConfig
from handlab_core.tasks.sizes import Spaces
from handlab_learning.off_policy.replay import Batch
from handlab_learning.off_policy.soft_actor_critic import SoftActorCritic, SoftActorCriticConfig

SMALL = SoftActorCriticConfig(hidden=(8,), critics=3, subset=3, entropy_backup=False)


def learner_of(config=SMALL, seed=0):
    torch.manual_seed(seed)
    return SoftActorCritic(Spaces(1, 1, 4), config, 0.02, torch.Generator().manual_seed(seed))


def batch_of(reward, discount):
    """Transitions from 0 to 0 with action 0."""
    zeros = torch.zeros(len(reward), 1)
    taken = torch.cat((zeros, zeros), 1)
    return Batch(taken, zeros, zeros, torch.tensor(reward), torch.tensor(discount), zeros)


def constant_critics(learner, values):
    """Make the targets constant functions."""
    for layer in learner.targets.layers:
        layer.zero_()
    learner.targets.layers[-1].copy_(torch.tensor(values)[:, None, None])


def test_targets_by_hand():
    """r + gamma^n min Q': the last transition ends the episode."""
    learner = learner_of()
    constant_critics(learner, [5.0, 3.0, 9.0])
    targets = learner.targets_of(batch_of([2.0, 4.0, 1.0], [0.25, 0.5, 0.0]))
    assert targets.tolist() == pytest.approx([2 + 0.25 * 3, 4 + 0.5 * 3, 1])


def test_the_minimum_is_over_a_random_part_of_the_ensemble():
    learner = learner_of(replace(SMALL, subset=2))
    constant_critics(learner, [1.0, 2.0, 4.0])
    batch = batch_of([0.0], [1.0])
    drawn = [round(float(learner.targets_of(batch)[0])) for _ in range(300)]
    assert drawn.count(1) / 300 == pytest.approx(2 / 3, abs=0.1)  # of 12, 14, 24 two have it
    assert set(drawn) == {1, 2}


@pytest.mark.parametrize(("log_prob", "grows"), [(30.0, True), (-30.0, False)])
def test_the_temperature_follows_the_entropy(log_prob, grows):
    learner = learner_of()
    before = learner.temperature
    learner.update_temperature(torch.tensor(log_prob))  # entropy -30: too little
    assert (learner.temperature > before) == grows


def test_targets_follow_their_critics_slowly():
    learner = learner_of(replace(SMALL, target_rate=0.25))
    before = [layer.clone() for layer in learner.targets.layers]
    learner.update_critics(batch_of([1.0], [0.9]))
    for old, target, critic in zip(
        before, learner.targets.layers, learner.critics.layers, strict=True
    ):
        torch.testing.assert_close(target, old + 0.25 * (critic.detach() - old))


def test_a_distance_pulls_the_actor():
    """With a large weight the step of the actor is down the gradient of the distance alone."""
    pulled, free = learner_of(replace(SMALL, cloning_weight=1e6)), learner_of()
    observation = torch.ones(4, 1)

    def distance():
        return (pulled.actor.mode(observation) - 1.0).square().mean()

    before = float(distance().detach())
    for _ in range(20):
        pulled.update_actor(observation, distance)
        free.update_actor(observation)
    assert float(distance().detach()) < before
    assert not torch.equal(pulled.actor.net[-1].weight, free.actor.net[-1].weight)


def test_a_restored_learner_goes_on_to_the_last_bit():
    one, other = learner_of(), learner_of(seed=5)
    batch, observation = batch_of([1.0, 2.0], [0.9, 0.9]), torch.ones(2, 1)
    for _ in range(3):
        one.update_critics(batch)
        one.update_temperature(one.update_actor(observation)[1])
    other.load_state_dict({name: value.clone() for name, value in one.state_dict().items()})
    for learner in (one, other):
        learner._rng.manual_seed(1)
        learner.update_critics(batch)
        learner.update_temperature(learner.update_actor(observation)[1])
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_more_targets_than_critics_are_refused():
    with pytest.raises(BadConfig, match="subset is 3; there are 2 critics"):
        SoftActorCriticConfig(critics=2, subset=3)
