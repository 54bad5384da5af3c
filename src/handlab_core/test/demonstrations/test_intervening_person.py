"""A person's commands as actions: limp fingers, jogs by keys and by a joystick."""

import numpy as np
import pytest

from handlab_core.demonstrations.intervening_person import (
    LONGEST_STEP,
    InterveningPerson,
    Mode,
    fingers,
)
from handlab_core.demonstrations.joystick import JOG, NEXT_FINGER, SILENCE, SPEED, Joystick
from handlab_core.errors import BadConfig
from handlab_core.hands import make_hand
from handlab_core.tasks import make_task
from handlab_core.types import Goal, JointState, ObjectEstimate

TASK = make_task("valve")
HAND, N = TASK.hand, TASK.hand.n
HERE = HAND.nominal + 0.1


@pytest.fixture
def person():
    return InterveningPerson(TASK)


def act(person, q=HERE):
    stamp = np.zeros(1)
    state = JointState(stamp, q[None], np.zeros((1, N)), np.zeros((1, N)))
    there = ObjectEstimate(stamp, stamp, stamp)
    goal = Goal(np.zeros(1, dtype=np.int64), stamp, np.ones((1, 1)), np.zeros((1, 1)))
    return person.act(state, there, goal)


def unit(joint, size=1.0):
    step = np.zeros(N)
    step[joint] = size
    return step


def pose(given):
    return HAND.target(given.action[0])


def test_the_policy_acts_until_the_person_does(person):
    given = act(person)
    assert not given.taken.any() and not given.limp
    person.take()
    given = act(person)
    assert given.taken.all() and given.limp
    person.give_back()
    assert not act(person).taken.any()


def test_jogging_begins_where_the_joints_stand_and_keeps_its_targets(person):
    person.jog(unit(2, 0.05))
    person.jog(unit(2, 0.05))
    np.testing.assert_allclose(pose(act(person)), HERE + unit(2, 0.1))
    elsewhere = HERE - 0.2  # the joints lag behind their targets
    person.jog(unit(0, -0.05))
    np.testing.assert_allclose(pose(act(person, elsewhere)), HERE + unit(2, 0.1) - unit(0, 0.05))
    given = act(person, elsewhere)
    np.testing.assert_allclose(pose(given), HERE + unit(2, 0.1) - unit(0, 0.05))
    assert given.taken.all() and not given.limp


def test_targets_stay_in_the_range_and_many_keys_are_no_leap(person):
    for _ in range(100):
        person.jog(unit(0, 0.2))
    assert pose(act(person))[0] - HERE[0] <= LONGEST_STEP + 1e-12
    for _ in range(10):
        person.jog(unit(0, LONGEST_STEP))
        given = act(person)
    assert pose(given)[0] == pytest.approx(HAND.upper[0])
    assert np.abs(given.action).max() <= 1.0 + 1e-12


def test_after_limp_fingers_jogging_begins_where_they_were_left(person):
    person.jog(unit(1, 0.3))
    act(person)
    person.take()
    act(person)
    person.jog(unit(1, 0.05))
    np.testing.assert_allclose(pose(act(person, HERE - 0.1)), HERE - 0.1 + unit(1, 0.05))


def test_every_episode_begins_with_the_policy(person):
    person.take()
    person.begin(None, 0)
    assert person.mode is Mode.POLICY and not act(person).taken.any()


@pytest.mark.parametrize("wrong", [np.zeros(3), np.full(N, np.nan)])
def test_jogs_that_do_not_fit_are_refused_and_change_nothing(person, wrong):
    with pytest.raises(BadConfig, match="9 finite numbers"):
        person.jog(wrong)
    assert person.mode is Mode.POLICY


@pytest.mark.parametrize(
    ("hand", "sizes"), [("claw", [3, 3, 3]), ("allegro", [4] * 4), ("leap", [4] * 4)]
)
def test_fingers_are_found_by_the_names_of_their_joints(hand, sizes):
    found = fingers(make_hand(hand))
    assert [len(joints) for joints in found] == sizes
    assert [joint for finger in found for joint in finger] == list(range(sum(sizes)))


def buttons(*pressed):
    return [int(number in pressed) for number in range(8)]


def test_a_joystick_moves_the_chosen_finger_while_its_button_is_held(person):
    stick = Joystick(HAND, person)
    stick.read([0.5, 0.0, 0.0], buttons(JOG), 0.0)
    step = 0.5 * SPEED * TASK.period
    np.testing.assert_allclose(pose(act(person)), HERE + unit(0, step))
    np.testing.assert_allclose(pose(act(person)), HERE + unit(0, 2 * step))
    stick.read([0.0, -1.0, 0.0], buttons(JOG, NEXT_FINGER), 0.05)
    stick.read([0.0, -1.0, 0.0], buttons(JOG, NEXT_FINGER), 0.1)  # held: one press
    expected = HERE + unit(0, 2 * step) - unit(4, SPEED * TASK.period)
    np.testing.assert_allclose(pose(act(person)), expected)
    stick.read([0.0, -1.0], buttons(), 0.15)
    assert not act(person).taken.any()


def test_a_joystick_at_rest_leaves_the_keys_alone(person):
    stick = Joystick(HAND, person)
    person.take()
    stick.read([0.0], buttons(), 0.0)
    assert act(person).limp


def test_a_joystick_that_falls_silent_is_released(person):
    stick = Joystick(HAND, person)
    stick.read([], [1], 0.0)
    stick.look(SILENCE)
    assert act(person).limp
    stick.look(SILENCE + 0.1)
    assert not act(person).taken.any()


def test_a_joystick_with_few_axes_and_buttons_is_no_error(person):
    stick = Joystick(HAND, person)
    stick.read([], [], 0.0)
    stick.read([2.0], [0, 0, 0, 0, 1], 0.0)
    np.testing.assert_allclose(pose(act(person)), HERE + unit(0, SPEED * TASK.period))
