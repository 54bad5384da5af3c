"""Rewards of observations: the same as those of the reward computer."""

import numpy as np
import pytest

from handlab_core.tasks import TASKS, make_task
from handlab_core.types import Goal, JointState, ObjectEstimate


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_reward_of_an_observation_is_that_of_the_state(name):
    """With velocities that are the change during a step, as a function of observations has them."""
    task, rng, count = make_task(name), np.random.default_rng(0), 6
    hand, stamp = task.hand, np.full(6, 3.0)
    angles = 1 if task.aim.of_object else hand.n
    goal = Goal(
        np.zeros(count, dtype=np.int64), stamp, rng.normal(size=(count, angles)),
        np.zeros((count, angles)),
    )  # fmt: skip
    q, turned = rng.uniform(-0.5, 0.5, (2, count, hand.n)), rng.normal(size=(2, count)) * 0.1
    angle = goal.angle[:, 0] + turned
    last = rng.uniform(-1, 1, (count, hand.n))
    seen, samples = [], []
    for i in range(2):
        qd, velocity = (q[1] - q[0]) / task.period, (angle[1] - angle[0]) / task.period
        state = JointState(stamp, q[i], qd, np.zeros_like(qd))
        obj = ObjectEstimate(stamp, angle[i], velocity)
        samples.append((state, obj, goal))
        seen.append(task.observe(hand, state, obj, goal, last))
    expected = task.reward_computer().compute(*samples[1]).total
    reward = task.spaces.reward
    np.testing.assert_allclose(reward(seen[1], seen[1] - seen[0]), expected, rtol=1e-9)
    deep = reward(seen[1][None, None], (seen[1] - seen[0])[None, None])
    np.testing.assert_allclose(deep[0, 0], expected, rtol=1e-9)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_reward_of_a_state_lacks_nothing(name):
    """A state leaves elements of the observation out; none of them matters to the reward."""
    task, rng = make_task(name), np.random.default_rng(1)
    spaces = task.spaces
    observation, change = rng.uniform(-1, 1, (2, 5, spaces.observation))
    form = spaces.state_form
    back = form.split(form.state(observation, change), spaces.observation)
    np.testing.assert_allclose(spaces.reward(*back), spaces.reward(observation, change))
