"""Laws of every task: its goals can be reached, are drawn by seed and are well formed."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.environment.station import start_request
from handlab_core.errors import BadConfig, UnknownName
from handlab_core.system.batch import take
from handlab_core.tasks import TASKS, make_task
from handlab_core.tasks.task import PoseRange, Range


@pytest.mark.parametrize("name", sorted(TASKS))
def test_starts_depend_on_seed_and_number_alone(name):
    task = make_task(name)
    assert task.start(3, 5) == task.start(3, 5)
    assert task.layout and task.observation_size == sum(size for _, size in task.layout)


def test_a_task_that_cannot_be_is_refused():
    with pytest.raises(BadConfig, match="5 steps"):
        replace(make_task("valve"), steps=3)
    with pytest.raises(UnknownName, match="robel"):
        make_task("valve").with_reward("nope")


EPISODES = np.arange(200)
ROWS = 7


@pytest.fixture(params=sorted(TASKS))
def task(request):
    return make_task(request.param)


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


def test_observations_and_errors_of_a_batch_are_those_of_its_rows(task, situation):
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


def test_an_observation_is_nobodys_but_its_own(task, situation):
    hand, obj, goal, action = situation(task)
    observed = task.observe(task.hand, hand, obj, goal, action)
    for part in (hand.q, obj.angle, goal.angle, action):
        assert not np.shares_memory(observed, part)


def test_at_the_goal_there_is_no_error(task, situation):
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


def test_ranges_draw_within_their_ends():
    rng = np.random.default_rng(0)
    assert Range(2.0, 2.0).draw(rng) == 2.0
    pose = PoseRange((-1.0, 5.0), (1.0, 5.0)).draw(rng)
    assert -1 <= pose[0] <= 1 and pose[1] == 5.0
