"""Trials: the champion is a policy that has shown what it can do, and it stays."""

import torch

from handlab_core.tasks import make_task
from handlab_learning.models.squashed_actor import SquashedActor
from handlab_learning.off_policy.trials import Trials

TASK = make_task("valve")


def actor(bias):
    """Return a network with a recognisable policy."""
    net = SquashedActor(TASK.spaces, (8,))
    with torch.no_grad():
        net.net[-1].bias.fill_(bias)
    return net


def mark(net):
    return float(net.net[-1].bias[0].detach())


def test_a_challenger_that_succeeds_often_enough_is_the_champion_as_it_was():
    trials, learning = Trials(actor(0.0), every=3, successes=2), actor(1.0)
    trials.after_other(learning)
    assert not trials.running
    trials.after_other(learning)
    assert trials.running
    with torch.no_grad():
        learning.net[-1].bias.fill_(5.0)  # learning goes on
    trials.after_trial(True)
    assert trials.running and not trials.champions
    trials.after_trial(True)
    assert not trials.running and trials.champions == 1
    assert mark(trials.champion) == 1.0


def test_a_failure_ends_a_trial_and_the_next_one_comes_later():
    trials = Trials(actor(0.0), every=3, successes=2)
    trials.begin(actor(1.0))
    trials.after_trial(True)
    trials.after_trial(False)
    assert not trials.running and not trials.champions
    trials.after_other(actor(2.0))
    assert not trials.running
    trials.after_other(actor(3.0))
    assert trials.running and mark(trials.challenger) == 3.0
    trials.after_trial(True)  # the success before the failure does not count
    assert trials.running and not trials.champions


def test_a_champion_stays_until_another_succeeds_twice_as_often():
    trials = Trials(actor(0.0), every=1, successes=2)
    trials.begin(actor(1.0))
    for good in (True, True):
        trials.after_trial(good)
    trials.begin(actor(2.0))
    for good in (True, True, True, False):
        trials.after_trial(good)
    assert trials.champions == 1 and mark(trials.champion) == 1.0
    trials.begin(actor(3.0))
    for _ in range(4):
        trials.after_trial(True)
    assert trials.champions == 2 and mark(trials.champion) == 3.0


def test_no_trial_begins_when_they_are_off():
    trials = Trials(actor(0.0), every=0, successes=2)
    trials.begin(actor(1.0))
    for _ in range(9):
        trials.after_other(actor(1.0))
    assert not trials.running
