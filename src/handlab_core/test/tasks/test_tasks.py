"""Laws of every task: what it asks for can be done, is drawn by seed and is well formed."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.batch import stack, take
from handlab_core.environment.station import start_request
from handlab_core.rewards.goal import ObjectAim
from handlab_core.tasks import TASKS, make_task
from handlab_core.tasks.criteria import LastFifth, MeanError, MeanOfLastFifth
from handlab_core.tasks.task import PoseRange, Range
from handlab_core.types import Goal, JointState, ObjectEstimate

EPISODES = np.arange(200)
ROWS = 7


@pytest.fixture(params=sorted(TASKS))
def task(request):
    return make_task(request.param)


def situation(task, rows=ROWS):
    """Hand, object, goal and last action of some robots, all different."""
    rng, n = np.random.default_rng(0), task.hand.n
    stamp = rng.uniform(1, 2, rows)
    hand = JointState(stamp, *rng.normal(size=(3, rows, n)))
    obj = ObjectEstimate(stamp, *rng.normal(size=(2, rows)))
    request = start_request(task, 0, np.arange(rows))
    goal = Goal(request.episode, stamp - 0.5, request.goal_angle, request.goal_velocity)
    return hand, obj, goal, rng.uniform(-1, 1, (rows, n))


def is_point(drawn):
    return drawn.lower == drawn.upper


def test_a_task_is_called_as_it_is_registered_and_described(task):
    assert TASKS[task.name]().name == task.name
    assert task.description and "\n" not in task.description
    assert task.reward in task.rewards


def test_what_can_differ_between_episodes_does_and_what_cannot_does_not(task):
    request = start_request(task, 0, EPISODES)
    goals = request.goal_angle - request.object_angle[:, None] * task.goal_from_start
    for drawn, values in (
        (task.start_angle, request.object_angle[:, None]),
        (task.goal_angle, goals),
        (task.goal_velocity, request.goal_velocity),
    ):
        spread = np.ptp(values, axis=0)
        assert (spread < 1e-12).all() if is_point(drawn) else (spread > 0).all()
        assert (values >= np.array(drawn.lower) - 1e-12).all()
        assert (values <= np.array(drawn.upper) + 1e-12).all()


def test_seeds_and_numbers_draw_different_episodes_unless_all_are_the_same(task):
    drawn = (task.start_angle, task.goal_angle, task.goal_velocity)
    fixed = all(is_point(part) for part in drawn)
    assert (task.start(0, 1) == task.start(0, 2)) == fixed
    assert (task.start(0, 1) == task.start(1, 1)) == fixed


def test_every_goal_can_be_reached_for_the_whole_episode(task):
    """Objects stay off their hinge's stops by more than success allows, poses in their range."""
    request = start_request(task, 0, EPISODES)
    duration = task.steps * task.period
    ends = (request.goal_angle, request.goal_angle + request.goal_velocity * duration)
    if not task.aim.of_object:
        assert request.goal_angle.shape == (len(EPISODES), task.hand.n)
        for pose in ends:
            assert (pose >= task.hand.lower - 1e-9).all() and (pose <= task.hand.upper + 1e-9).all()
        return
    for angle in (*ends, request.object_angle[:, None]):
        assert (angle >= task.fixture.lower + task.success.tolerance).all()
        assert (angle <= task.fixture.upper - task.success.tolerance).all()


def test_observations_and_errors_of_a_batch_are_those_of_its_rows(task):
    hand, obj, goal, action = situation(task)
    whole = task.observe(task.hand, hand, obj, goal, action)
    assert whole.shape == (ROWS, task.observation_size)
    computer = task.reward_computer()
    reward = computer.compute(hand, obj, goal)
    for i in range(ROWS):
        one = [take(part, [i]) for part in (hand, obj, goal)]
        np.testing.assert_array_equal(
            task.observe(task.hand, *one, action[i : i + 1]), whole[i : i + 1]
        )
        alone = computer.compute(*one)
        np.testing.assert_allclose(alone.total, reward.total[i : i + 1], rtol=1e-12)
        np.testing.assert_allclose(alone.error, reward.error[i : i + 1], rtol=1e-12)
        assert alone.success[0] == reward.success[i]


def test_an_observation_is_nobodys_but_its_own(task):
    hand, obj, goal, action = situation(task)
    observed = task.observe(task.hand, hand, obj, goal, action)
    for part in (hand.q, obj.angle, goal.angle, action):
        assert not np.shares_memory(observed, part)


def test_at_the_goal_there_is_no_error(task):
    hand, obj, goal, _ = situation(task)
    target = goal.at(hand.stamp)
    if not task.aim.of_object:
        hand = replace(hand, q=target)
    else:
        obj = replace(obj, angle=target[:, 0])
    reward = task.reward_computer().compute(hand, obj, goal)
    np.testing.assert_allclose(reward.error, 0.0, atol=1e-12)
    assert reward.success.all()
    assert task.succeeded(np.zeros(task.steps)) == (True, True)
    assert task.succeeded(np.full(task.steps, 3.0)) == (False, False)


def test_an_object_that_repeats_looks_the_same_there_but_is_not_as_far():
    hand, obj, goal, _ = situation(make_task("valve_random"))
    turned = replace(obj, angle=obj.angle + 2 * np.pi / 3)
    a, b = (ObjectAim(3).parts(hand, x, goal) for x in (obj, turned))
    np.testing.assert_allclose(a[0], b[0], atol=1e-12)
    np.testing.assert_allclose(a[1], b[1], atol=1e-12)
    np.testing.assert_allclose(b[2] - a[2], 2 * np.pi / 3)


def test_a_bent_error_is_fine_near_the_goal_and_a_sign_far_from_it():
    hand, obj, goal, _ = situation(make_task("valve_random"))
    for error, seen in ((0.01, 0.04), (-0.01, -0.04), (2.0, 1.0), (-5.0, -1.0)):
        off = replace(obj, angle=goal.at(obj.stamp)[:, 0] + error)
        plain, bent = ObjectAim(3, fine=0.25).parts(hand, off, goal)[2:]
        np.testing.assert_allclose(plain[:, 0], error, atol=1e-12)
        np.testing.assert_allclose(bent[:, 0], seen, atol=1e-4)


def test_who_follows_a_goal_sees_how_fast_it_turns():
    hand, obj, goal, _ = situation(make_task("valve_tracking"))
    aim = ObjectAim(3, moving=True)
    assert dict(aim.layout(9))["goal_velocity"] == 1
    np.testing.assert_array_equal(aim.parts(hand, obj, goal)[-1], goal.velocity)


def test_criteria_by_hand():
    errors = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.3, -0.1])
    assert LastFifth(0.3).met(errors) and not LastFifth(0.29).met(errors)
    assert MeanOfLastFifth(0.21).met(errors) and not MeanOfLastFifth(0.19).met(errors)
    assert MeanError(0.85).met(errors) and not MeanError(0.83).met(errors)
    assert str(LastFifth(np.deg2rad(20.0))) == "within 20° in the last fifth"
    assert str(MeanError(0.2)) == "mean error below 0.2 rad"


def test_a_goal_that_turns_is_where_its_speed_brings_it():
    goal = Goal(np.array([0]), np.array([1.0]), np.array([[0.5, 1.0]]), np.array([[0.2, -0.4]]))
    np.testing.assert_allclose(goal.at(np.array([3.0])), [[0.9, 0.2]])
    assert stack([goal, goal]).at(np.array([1.0, 3.0])).shape == (2, 2)


def test_ranges_draw_within_their_ends():
    rng = np.random.default_rng(0)
    assert Range(2.0, 2.0).draw(rng) == 2.0
    pose = PoseRange((-1.0, 5.0), (1.0, 5.0)).draw(rng)
    assert -1 <= pose[0] <= 1 and pose[1] == 5.0


def test_a_goals_way_does_not_depend_on_when_it_begins():
    """Bit for bit, for any two stamps of whole nanoseconds."""
    ways = []
    for begin in (0.0, 0.1, 10.3, 7200.7):
        goal = Goal(np.array([0]), np.array([begin]), np.array([[0.3]]), np.array([[0.7]]))
        steps = np.arange(1, 80) * 100_000_000
        stamps = (round(begin * 1e9) + steps) / 1e9
        ways.append([goal.at(np.array([stamp]))[0, 0] for stamp in stamps])
    assert ways[0] == ways[1] == ways[2] == ways[3]
