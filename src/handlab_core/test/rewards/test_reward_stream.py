"""Rewards of states that arrive in any order."""

from itertools import permutations

import numpy as np
import pytest

from handlab_core.rewards.reward_stream import MEMORY, RewardStream
from handlab_core.tasks import make_task
from handlab_core.types import SAME_TIME, Goal, JointState, ObjectEstimate

TASK = make_task("valve")
PERIOD = TASK.period


def hand(stamp):
    q = TASK.hand.nominal[None, :] + 0.01 * stamp
    return JointState(np.array([stamp]), q, np.zeros_like(q), np.zeros_like(q))


def obj(stamp):
    return ObjectEstimate(np.array([stamp]), np.array([stamp]), np.zeros(1))


def goal(episode, stamp):
    return Goal(np.array([episode]), np.array([stamp]), np.array([[np.pi]]), np.zeros((1, 1)))


@pytest.fixture
def stream():
    return RewardStream(TASK.reward_computer())


def due(stream):
    """Return episode and stamp of the due rewards, after a check of their values."""
    rewards = []
    for aim, state, reward in stream.due():
        stamp = float(state.stamp[0])
        np.testing.assert_array_equal(
            reward.terms, stream.computer.compute(hand(stamp), state, aim).terms
        )
        rewards.append((int(aim.episode[0]), stamp))
    return rewards


@pytest.mark.parametrize("order", list(permutations(range(5))))
def test_every_state_is_rewarded_once_in_any_order_of_arrival(stream, order):
    """Two states of the hand, two of the object (each stream in order), and the goal."""
    hands, objects = iter([0.1, 0.2]), iter([0.1, 0.2])
    take = [
        lambda: stream.add_hand(hand(next(hands))),
        lambda: stream.add_hand(hand(next(hands))),
        lambda: stream.add_object(obj(next(objects))),
        lambda: stream.add_object(obj(next(objects))),
        lambda: stream.add_goal(goal(7, 0.1)),
    ]
    rewards = []
    for i in order:
        take[i]()
        rewards += due(stream)
    assert rewards == [(7, 0.1), (7, 0.2)]
    assert not due(stream)


def test_it_says_when_only_the_hand_is_awaited(stream):
    stream.add_object(obj(0.1))
    assert not stream.waiting  # without a goal nothing is due
    stream.add_goal(goal(0, 0.0))
    assert stream.waiting
    stream.add_hand(hand(0.1))
    assert not stream.waiting and due(stream) == [(0, 0.1)]


def test_a_state_whose_hand_never_came_is_passed_over(stream):
    stream.add_goal(goal(0, 0.0))
    stream.add_object(obj(0.1))
    stream.add_hand(hand(0.1 + PERIOD))
    stream.add_object(obj(0.1 + PERIOD))
    assert due(stream) == [(0, 0.1 + PERIOD)]


def test_of_two_clocks_the_nearest_states_belong_together(stream):
    stream.add_goal(goal(0, 0.0))
    for stamp in (0.100, 0.110, 0.120):
        stream.add_hand(hand(stamp))
    stream.add_object(obj(0.111))
    [(_, state, reward)] = stream.due()
    expected = stream.computer.compute(hand(0.110), state, goal(0, 0.0))
    np.testing.assert_array_equal(reward.terms, expected.terms)


def test_a_late_goal_rewards_again_the_states_that_it_holds_for(stream):
    stream.add_goal(goal(0, 0.0))
    for stamp in (1.0, 1.1, 1.2):
        stream.add_hand(hand(stamp))
        stream.add_object(obj(stamp))
    assert [stamp for _, stamp in due(stream)] == [1.0, 1.1, 1.2]
    stream.add_goal(goal(1, 1.1))
    assert due(stream) == [(1, 1.1), (1, 1.2)]
    stream.add_goal(goal(2, 9.0))  # of a state that is still to come: where are we now?
    assert due(stream) == [(2, 1.2)]


def test_where_time_began_anew_the_old_states_are_forgotten(stream):
    stream.add_goal(goal(0, 0.0))
    stream.add_hand(hand(500.0))
    stream.add_object(obj(500.0))
    due(stream)
    stream.add_hand(hand(0.1))
    stream.add_object(obj(0.1))
    assert due(stream) == [(0, 0.1)]
    stream.add_goal(goal(1, 0.1))
    assert due(stream) == [(1, 0.1)]


def test_its_memory_ends(stream):
    for i in range(2 * MEMORY):
        stream.add_hand(hand(i * PERIOD))
        stream.add_object(obj(i * PERIOD))
    stream.add_goal(goal(0, 0.0))
    assert len(due(stream)) == MEMORY
    assert 2 * SAME_TIME < PERIOD  # else a state would have two hands


def test_a_goal_that_is_announced_twice_rewards_no_state_again(stream):
    stream.add_goal(goal(7, 0.1))
    stream.add_hand(hand(0.1))
    stream.add_object(obj(0.1))
    assert due(stream) == [(7, 0.1)]
    stream.add_goal(goal(7, 0.1))
    assert due(stream) == []
