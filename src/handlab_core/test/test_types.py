"""A goal that moves."""

import numpy as np

from handlab_core.system.batch import stack
from handlab_core.types import Goal


def test_a_goal_that_turns_is_where_its_speed_brings_it():
    goal = Goal(np.array([0]), np.array([1.0]), np.array([[0.5, 1.0]]), np.array([[0.2, -0.4]]))
    np.testing.assert_allclose(goal.at(np.array([3.0])), [[0.9, 0.2]])
    assert stack([goal, goal]).at(np.array([1.0, 3.0])).shape == (2, 2)


def test_a_goals_way_does_not_depend_on_when_it_begins():
    """Bit for bit, for any two stamps of whole nanoseconds."""
    ways = []
    for begin in (0.0, 0.1, 10.3, 7200.7):
        goal = Goal(np.array([0]), np.array([begin]), np.array([[0.3]]), np.array([[0.7]]))
        steps = np.arange(1, 80) * 100_000_000
        stamps = (round(begin * 1e9) + steps) / 1e9
        ways.append([goal.at(np.array([stamp]))[0, 0] for stamp in stamps])
    assert ways[0] == ways[1] == ways[2] == ways[3]
