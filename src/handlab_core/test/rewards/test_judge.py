"""The judge of states that arrive in any order."""

from itertools import permutations

import numpy as np
import pytest

from handlab_core.rewards.judge import MEMORY, Judge
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
def judge():
    return Judge(TASK.reward_computer())


def told(judge):
    """Episode and stamp of what is due, whose values are those of the computer."""
    rewards = []
    for aim, state, reward in judge.due():
        stamp = float(state.stamp[0])
        np.testing.assert_array_equal(
            reward.terms, judge.computer.compute(hand(stamp), state, aim).terms
        )
        rewards.append((int(aim.episode[0]), stamp))
    return rewards


@pytest.mark.parametrize("order", list(permutations(range(5))))
def test_every_state_is_judged_once_whatever_comes_first(judge, order):
    """Two states of the hand, two of the object (each stream in order), and the goal."""
    hands, objects = iter([0.1, 0.2]), iter([0.1, 0.2])
    take = [
        lambda: judge.take_hand(hand(next(hands))),
        lambda: judge.take_hand(hand(next(hands))),
        lambda: judge.take_object(obj(next(objects))),
        lambda: judge.take_object(obj(next(objects))),
        lambda: judge.take_goal(goal(7, 0.1)),
    ]
    rewards = []
    for i in order:
        take[i]()
        rewards += told(judge)
    assert rewards == [(7, 0.1), (7, 0.2)]
    assert not told(judge)


def test_it_says_when_only_the_hand_is_awaited(judge):
    judge.take_object(obj(0.1))
    assert not judge.waiting  # without a goal nothing is due
    judge.take_goal(goal(0, 0.0))
    assert judge.waiting
    judge.take_hand(hand(0.1))
    assert not judge.waiting and told(judge) == [(0, 0.1)]


def test_a_state_whose_hand_never_came_is_passed_over(judge):
    judge.take_goal(goal(0, 0.0))
    judge.take_object(obj(0.1))
    judge.take_hand(hand(0.1 + PERIOD))
    judge.take_object(obj(0.1 + PERIOD))
    assert told(judge) == [(0, 0.1 + PERIOD)]


def test_of_two_clocks_the_nearest_states_belong_together(judge):
    judge.take_goal(goal(0, 0.0))
    for stamp in (0.100, 0.110, 0.120):
        judge.take_hand(hand(stamp))
    judge.take_object(obj(0.111))
    [(_, state, reward)] = judge.due()
    expected = judge.computer.compute(hand(0.110), state, goal(0, 0.0))
    np.testing.assert_array_equal(reward.terms, expected.terms)


def test_a_goal_that_comes_late_judges_again_what_it_holds_for(judge):
    judge.take_goal(goal(0, 0.0))
    for stamp in (1.0, 1.1, 1.2):
        judge.take_hand(hand(stamp))
        judge.take_object(obj(stamp))
    assert [stamp for _, stamp in told(judge)] == [1.0, 1.1, 1.2]
    judge.take_goal(goal(1, 1.1))
    assert told(judge) == [(1, 1.1), (1, 1.2)]
    judge.take_goal(goal(2, 9.0))  # of a state that is still to come: where are we now?
    assert told(judge) == [(2, 1.2)]


def test_where_time_began_anew_the_old_states_are_forgotten(judge):
    judge.take_goal(goal(0, 0.0))
    judge.take_hand(hand(500.0))
    judge.take_object(obj(500.0))
    told(judge)
    judge.take_hand(hand(0.1))
    judge.take_object(obj(0.1))
    assert told(judge) == [(0, 0.1)]
    judge.take_goal(goal(1, 0.1))
    assert told(judge) == [(1, 0.1)]


def test_its_memory_ends(judge):
    for i in range(2 * MEMORY):
        judge.take_hand(hand(i * PERIOD))
        judge.take_object(obj(i * PERIOD))
    judge.take_goal(goal(0, 0.0))
    assert len(told(judge)) == MEMORY
    assert 2 * SAME_TIME < PERIOD  # else a state would have two hands
