"""A cycle of poses as a policy: its position follows the error of the object."""

import numpy as np
import pytest

from handlab_core.environment.policies.policy_kinds import policy_from_tensors
from handlab_core.environment.policies.pose_cycle_policy import PoseCyclePolicy
from handlab_core.errors import BadRun
from handlab_core.tasks.sizes import Spaces

SPACES = Spaces(2, 1, 60)


@pytest.fixture
def cycle():
    """Poses 0, 1 and -1; two, four and two steps from each to the next."""
    return PoseCyclePolicy(np.array([[0.0], [1.0], [-1.0]]), np.array([2.0, 4.0, 2.0]), 0.4, 1, 3)


def seen(*errors):
    return np.array([[9.0, error] for error in errors])


def test_the_cycle_goes_on_below_the_goal_and_comes_round(cycle):
    acting = cycle.begin()
    actions = [acting.act(seen(-1.0))[0, 0] for _ in range(9)]
    np.testing.assert_allclose(actions, [0.5, 1.0, 0.5, 0.0, -0.5, -1.0, -0.5, 0.0, 0.5])


def test_it_goes_back_above_the_goal_slows_down_near_it_and_stops_there(cycle):
    acting = cycle.begin()
    errors = [-1.0, -1.0, 1.0, -0.2, 0.01, 0.05, 0.07]  # 0.05 is not yet away from the goal
    expected = [0.5, 1.0, 0.5, 0.75, 0.75, 0.75, 0.75 - 0.5 * 0.07 / 0.4]
    np.testing.assert_allclose([acting.act(seen(e))[0, 0] for e in errors], expected)


def test_each_robot_has_a_place_of_its_own_in_the_cycle(cycle):
    acting = cycle.begin()
    acting.act(seen(-1.0, 1.0))
    np.testing.assert_allclose(acting.act(seen(-1.0, 1.0))[:, 0], [1.0, -1.0])


def test_a_cycle_survives_a_file_bit_for_bit(cycle):
    after = policy_from_tensors(cycle.tensors(), cycle.version, SPACES)
    assert isinstance(after, PoseCyclePolicy) and after.version == 3
    one, two = cycle.begin(), after.begin()
    for error in (-1.0, -0.2, 0.4):
        np.testing.assert_array_equal(one.act(seen(error)), two.act(seen(error)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cycle_durations": None}, "p lacks cycle_durations"),
        ({"shift": np.zeros(2)}, "has 'shift', which no cycle of poses has"),
        ({"cycle_poses": np.zeros((1, 1))}, "needs 2 to 100 rows; it has 1"),
        ({"cycle_poses": np.zeros((3, 2))}, "cycle_poses of p has shape"),
        ({"cycle_poses": np.full((3, 1), 2.0)}, "poses are in"),
        ({"cycle_durations": np.zeros(3)}, "durations and braking"),
        ({"cycle_motion": np.array([0.4, 2.0])}, "element 2; there are elements 0 to 1"),
        ({"cycle_motion": np.array([np.inf, 1.0])}, "cycle_motion of p holds inf"),
    ],
)
def test_tensors_of_no_cycle_are_refused_by_name(cycle, change, message):
    tensors = {n: t for n, t in (cycle.tensors() | change).items() if t is not None}
    with pytest.raises(BadRun, match=message):
        policy_from_tensors(tensors, 0, SPACES, "p")
