"""Turning an object in the Adroit hand: the rule of success and the reward."""

import numpy as np
import pytest

from handlab_core.tasks.adroit import find_task
from handlab_core.tasks.adroit.turning import (
    DROP,
    HEIGHT,
    LEAST,
    PEN,
    POSITION,
    TURNINGS,
)

TASKS = [
    "adroit_turn_pen", "adroit_turn_rod", "adroit_turn_pen_pneumatic", "adroit_turn_rod_pneumatic",
]  # fmt: skip


def _observed(turn: float, lower: float = 0.0) -> np.ndarray:
    """Return an observation of the pen turned by an angle, lower than its place."""
    observation = np.zeros(PEN.sizes[0])
    observation[PEN.element], observation[HEIGHT] = turn - PEN.goal, -lower / POSITION
    return observation


@pytest.mark.parametrize(
    ("turn", "lower", "turned"),
    [
        (LEAST + 0.01, 0.0, True),
        (LEAST - 0.01, 0.0, False),
        (2 * PEN.goal - LEAST - 0.01, 0.0, True),
        (2 * PEN.goal - LEAST + 0.01, 0.0, False),
        (-LEAST - 0.01, 0.0, False),
        (PEN.goal, DROP - 0.001, True),
        (PEN.goal, DROP + 0.001, False),
    ],
)
def test_a_pen_is_turned_if_it_is_far_enough_the_right_way_and_not_dropped(turn, lower, turned):
    observed = _observed(turn, lower)
    assert PEN.turned(observed) == turned
    np.testing.assert_array_equal(PEN.turned(np.stack([observed] * 3)), [turned] * 3)


def test_the_reward_is_highest_for_a_hand_at_rest_with_the_object_at_its_goal():
    still = np.zeros(PEN.sizes[0])
    best = PEN.reward(_observed(PEN.goal), still)
    assert best == 0.0
    for element in (PEN.element, HEIGHT, PEN.sizes[0] // 2):
        worse = _observed(PEN.goal)
        worse[element] += 0.3
        assert PEN.reward(worse, still) < best


@pytest.mark.parametrize("name", TASKS)
def test_sizes_are_those_of_joints_object_and_cylinders(name):
    """Pressures are part of the state, and valves are the actions."""
    task, pneumatic = find_task(name), name.endswith("pneumatic")
    assert task.spaces.observation == task.spaces.state_form.size == 60 + 40 * pneumatic
    assert task.spaces.action == (40 if pneumatic else 24)
    assert TURNINGS[task.environment].pneumatic is pneumatic
    assert task.spaces.reward is not None and not task.success.met(19) and task.success.met(20)
