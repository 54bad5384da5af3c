"""The search for own demonstrations: reproducible, resumable, and at work in soft actor-critic."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handlab_core.environment.episode import (
    Episode,
    EpisodeKey,
    Outcome,
    RobotTime,
    Trajectory,
    unknown_temperatures,
)
from handlab_core.environment.policies.gait_policy import GaitPolicy
from handlab_core.environment.policies.squashed_policy import SquashedPolicy
from handlab_core.errors import BadConfig
from handlab_core.tasks import make_task
from handlab_core.tasks.sizes import Fingers, Spaces
from handlab_learning.algorithms.rlpd import Rlpd, RlpdConfig
from handlab_learning.exploration.gait_search import (
    APART,
    PATIENCE,
    RANDOM_GAITS,
    SUCCESSES_PER_FAILURE,
    GaitSearch,
)

STEPS = 20
SPACES = Spaces(2, 2, STEPS, fingers=Fingers(0, (0, 0), (0, 1), 0.1))
SMALL = RlpdConfig(
    hidden=(8,), batch=16, update_ratio=0.5, cloning_updates=20, cloned_first_episodes=1,
    first_episodes=1, own_demonstrations=3, cloned_critic_warm_up=4,
)  # fmt: skip


def world(policy, number, seed=0):
    """A toy: a crank that the first action's motion against the second one's turns."""
    acting, noise = policy.begin(), policy.noise(np.random.default_rng((seed, number)), STEPS)
    angle, before = 0.0, np.zeros(2)
    observations, actions, errors = [np.array([angle - 2.0, 0.0])], [], []
    for t in range(STEPS):
        action = acting.act(observations[-1][None], noise[t : t + 1])[0]
        angle += 0.6 * (before[0] * action[1] - before[1] * action[0])  # area that is swept
        before = action
        observations.append(np.array([angle - 2.0, action[0]]))
        actions.append(action)
        errors.append(angle - 2.0)
    errors = np.array(errors)
    path = Trajectory(
        np.array(observations), np.array(actions), -np.abs(errors), np.zeros((STEPS, 1)), errors,
        np.zeros(1),
    )  # fmt: skip
    good = bool(np.abs(errors[-STEPS // 5 :]).max() < 0.3)
    key = EpisodeKey(number, policy.version, seed, deterministic=False)
    return Episode(key, path, Outcome(good, good), RobotTime(2.0), unknown_temperatures(1))


def searched(seed, wanted=3, limit=200):
    search, episodes = GaitSearch(SPACES, seed, wanted, limit), []
    while not search.ended:
        episodes.append(world(search.policy(len(episodes)), len(episodes), seed))
        search.tell(episodes[-1])
    return search, episodes


@pytest.mark.parametrize("seed", range(10, 15))
def test_a_toy_crank_is_turned(seed):
    search, episodes = searched(seed)
    assert len(search.found) == 3 and len(episodes) < 60
    assert all(episode.outcome.strict_success for episode in search.found)


def test_the_search_is_a_function_of_seed_and_episodes():
    (one, first), (two, second) = searched(10), searched(10)
    assert len(first) == len(second) and one.best_cost == two.best_cost
    resumed = GaitSearch(SPACES, 10, 3, 200)
    for episode in first[:-1]:
        resumed.tell(episode)
    np.testing.assert_array_equal(
        world(resumed.policy(len(first) - 1), len(first) - 1, 10).trajectory.actions,
        first[-1].trajectory.actions,
    )
    assert searched(11)[1][0].trajectory.actions[0, 0] != first[0].trajectory.actions[0, 0]


def test_the_search_ends_at_its_limit():
    search, episodes = searched(10, wanted=100, limit=7)
    assert len(episodes) == 7 and search.ended


def test_a_gait_that_turns_the_wrong_way_is_tried_backwards():
    search = GaitSearch(SPACES, 0, 3, 10)
    before = search.policy(0)
    episode = world(before, 0)
    wrong = replace(episode.trajectory, errors=np.linspace(-2.0, -4.0, STEPS))
    search.tell(replace(episode, trajectory=wrong, outcome=Outcome(False, False)))
    after = search.policy(1)
    assert after.speed == before.speed
    for phase in (0.0, 0.4, 2.0):
        there, back = np.sin(phase + after.lead), np.sin(-phase + before.lead)
        np.testing.assert_allclose(there, back, atol=1e-12)


def test_a_child_is_a_good_gait_with_a_few_changes_or_joints_of_another_one():
    spaces = Spaces(2, 9, STEPS, fingers=Fingers(0, tuple(range(9)), (0,) * 9, 0.1))
    search, rng = GaitSearch(spaces, 0, 3, 10), np.random.default_rng(0)
    one, other = (search._draw(rng) for _ in range(2))
    children = [search._child([(one, 0.1), (other, 0.1)], rng) for _ in range(300)]
    same = np.array([(child == one) | (child == other) for child in children])
    assert 0.75 < same.mean() < 0.85 and not same.all(axis=1).any()
    taken = np.array([(child == one).any() and (child == other).any() for child in children])
    assert 0.08 < taken.mean() < 0.22  # half of the exchanges are with the parent itself


def test_fingers_that_see_the_object_differently_move_on_their_own():
    assert make_task("valve").spaces.fingers.joint == (0, 1, 2) * 3
    assert make_task("flip").spaces.fingers.joint == tuple(range(9))


def test_a_success_is_repeated_and_given_up_when_it_was_luck():
    search = GaitSearch(SPACES, 0, 9, 99)
    first, episode = search.policy(0), world(search.policy(0), 0)
    still = replace(episode.trajectory, errors=np.full(STEPS, -2.0))
    good = replace(episode, trajectory=still, outcome=Outcome(True, True))
    bad = replace(good, outcome=Outcome(False, False))
    for told in (*[good] * SUCCESSES_PER_FAILURE, bad):  # one failure is forgiven
        search.tell(told)
        np.testing.assert_array_equal(search.policy(9).offset, first.offset)
    search.tell(bad)
    assert not np.array_equal(search.policy(9).offset, first.offset)


def test_the_best_gait_is_the_one_with_the_lowest_mean_cost():
    """One lucky episode makes no gait the best."""
    search = GaitSearch(SPACES, 0, 9, 99)
    episode = world(search.policy(0), 0)

    def tell(error, good):
        path = replace(episode.trajectory, errors=np.append(-2.0, np.full(STEPS - 1, -error)))
        search.tell(replace(episode, trajectory=path, outcome=Outcome(good, good)))

    tell(0.1, True)
    tell(1.9, False)
    steady = search.policy(2)
    tell(0.5, False)
    np.testing.assert_array_equal(search.best(3).offset, steady.offset)


def test_an_episode_with_interventions_is_no_success_of_the_gait():
    search = GaitSearch(SPACES, 0, 9, 99)
    episode = replace(world(search.policy(0), 0), outcome=Outcome(True, True))
    search.tell(replace(episode, interventions=np.ones(STEPS)))
    assert not search.found and search.best_cost == 1.0


def trained(episodes, learner=None):
    learner = learner or Rlpd(SPACES, SMALL, 10)
    metrics = []
    for number in episodes:
        policy = learner.policy()
        learner.update_meanwhile()
        metrics.append(learner.update([world(policy, number, 10)]))
    return learner, metrics


def test_found_demonstrations_are_cloned_and_learned_from():
    count = len(searched(10)[1])
    learner, metrics = trained(range(count - 1))
    assert isinstance(learner.policy(), GaitPolicy) and isinstance(learner.result(), GaitPolicy)
    assert learner.update_meanwhile() == {} and metrics[-1]["searching"] == 1.0
    learner, last = trained([count - 1], learner)
    assert last[0]["searching"] == 0.0 and last[0]["own_demonstrations"] == 3.0
    assert isinstance(learner.policy(), SquashedPolicy)
    assert isinstance(learner.result(), GaitPolicy)  # until the clone is as good
    assert len(learner.imitation.demonstrations) == 3 * STEPS
    assert learner.sac.temperature == pytest.approx(SMALL.cloned_temperature)
    assert learner.update_meanwhile()["updates"] == 10 + 4


@pytest.mark.parametrize("after", ["the search", "its middle"])
def test_a_resumed_run_goes_on_bit_for_bit(after):
    count = len(searched(10)[1])
    reached = count + 2 if after == "the search" else count - 2
    whole, _ = trained(range(count + 4))
    part, _ = trained(range(reached))
    resumed = Rlpd(SPACES, SMALL, 10)
    resumed.load_state_dict({name: tensor.clone() for name, tensor in part.state_dict().items()})
    played, learner = [], Rlpd(SPACES, SMALL, 10)
    for number in range(reached):
        policy = learner.policy()
        learner.update_meanwhile()
        played.append(world(policy, number, 10))
        learner.update(played[-1:])
    resumed.recall(played)
    resumed, _ = trained(range(reached, count + 4), resumed)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_given_demonstrations_replace_the_search():
    given = searched(10)[0].found
    learner = Rlpd(SPACES, SMALL, 10, given)
    assert isinstance(learner.policy(), SquashedPolicy)


def test_a_task_without_an_error_refuses_the_search():
    with pytest.raises(BadConfig, match="own_demonstrations is 3; it must be 0"):
        Rlpd(replace(SPACES, fingers=None), SMALL, 0)


def test_a_search_that_improves_no_more_begins_again_at_random():
    search = GaitSearch(SPACES, 0, 9, 999)
    episode = world(search.policy(0), 0)

    def tell(error):
        path = replace(episode.trajectory, errors=np.append(-2.0, np.full(STEPS - 1, -error)))
        search.tell(replace(episode, trajectory=path, outcome=Outcome(False, False)))

    tell(0.4)
    near = search.policy(1)
    for _ in range(PATIENCE - 1):
        tell(1.0)
    assert search.best_cost < 0.4
    tell(1.0)  # the last one that is borne with
    for _ in range(RANDOM_GAITS):
        last = search.policy(2)
        tell(0.9)
        assert np.abs(search.policy(2).lead - last.lead).max() > 0.05
    tell(0.3)
    np.testing.assert_array_equal(search.best(3).offset, search.best(4).offset)
    assert not np.array_equal(search.best(3).offset, near.offset)


def test_a_search_that_only_creeps_begins_again():
    search = GaitSearch(SPACES, 0, 9, 999)
    episode = world(search.policy(0), 0)
    for number in range(PATIENCE + 1):
        error = 1.0 - 0.001 * number  # 4 % in all
        path = replace(episode.trajectory, errors=np.append(-2.0, np.full(STEPS - 1, -error)))
        search.tell(replace(episode, trajectory=path, outcome=Outcome(False, False)))
    assert search._begun == PATIENCE + 1


def test_gaits_from_before_a_new_beginning_have_children_again_later(monkeypatch):
    search = GaitSearch(SPACES, 0, 9, 999)
    episode, parents = world(search.policy(0), 0), []
    breed = search._child

    def child(best, rng):
        parents.append(best[0][0])
        return breed(best, rng)

    monkeypatch.setattr(search, "_child", child)

    def tell(error):
        path = replace(episode.trajectory, errors=np.append(-2.0, np.full(STEPS - 1, -error)))
        search.tell(replace(episode, trajectory=path, outcome=Outcome(False, False)))

    near = search._next()[0]
    tell(0.4)
    while not search._begun:
        tell(1.0)
    parents.clear()
    for number in range(APART):
        tell(0.9 * 0.94 ** (number // 8))
    assert parents and not any(np.array_equal(parent, near) for parent in parents)
    parents.clear()
    while not parents:  # now and then a random gait comes instead of a child
        tell(0.8)
    np.testing.assert_array_equal(parents[0], near)


def test_a_success_keeps_a_search_at_its_place():
    search = GaitSearch(SPACES, 0, 9, 999)
    episode = world(search.policy(0), 0)
    bad = replace(episode, outcome=Outcome(False, False))
    for _ in range(3):
        for _ in range(PATIENCE - 2):
            search.tell(bad)
        search.tell(replace(episode, outcome=Outcome(True, True)))
        search.tell(bad)
    assert search._begun == 0
