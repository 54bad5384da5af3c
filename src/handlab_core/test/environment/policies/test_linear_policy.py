"""Time-varying linear controllers: step by step, per robot, and through a file."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.environment.hold import Hold
from handlab_core.environment.policies.linear_policy import LinearPolicy
from handlab_core.environment.policies.policy_kinds import policy_from_tensors
from handlab_core.errors import BadRun
from handlab_core.tasks.sizes import Spaces, StateForm

SPACES = Spaces(2, 1, 3)
FORM = StateForm((0, 1), (1,))
STEPS = 3


@pytest.fixture
def policy():
    """Two controllers; the second one starts at 5 and has the opposite sign."""
    gain = np.array([[0.1, 0.0, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.5]])[:, None, :]
    offset = np.array([[0.0], [0.1], [0.2]])
    factor = np.full((2, STEPS, 1, 1), 0.3)
    starts = np.array([[0.0, 0.0], [5.0, 0.0]])
    return LinearPolicy(
        np.stack((gain, -gain)), np.stack((offset, -offset)), factor, starts, FORM, 0.0, 4
    )


def test_each_step_has_its_own_gains_and_a_change_is_part_of_the_state(policy):
    acting = policy.begin()
    seen = [[1.0, 0.0], [1.0, 2.0], [1.0, 1.5], [1.0, 1.7]]
    actions = [acting.act(np.array([row]))[0, 0] for row in seen]
    # 0.1 * 1; 0.2 * 2 + 0.1; 0.5 * (1.5 - 2.0) + 0.2; the last gains stay: 0.5 * 0.2 + 0.2
    np.testing.assert_allclose(actions, [0.1, 0.5, -0.05, 0.3])


def test_the_controller_of_the_nearest_start_acts_during_the_whole_episode(policy):
    acting = policy.begin()
    first = acting.act(np.array([[1.0, 0.0], [4.0, 0.0]]))
    np.testing.assert_allclose(first[:, 0], [0.1, -0.4])
    second = acting.act(np.array([[9.0, 1.0], [0.0, 1.0]]))  # each keeps its controller
    np.testing.assert_allclose(second[:, 0], [0.3, -0.3])


def test_an_episode_begins_with_the_first_gains(policy):
    acting = policy.begin()
    for _ in range(3):
        acting.act(np.array([[1.0, 1.0]]))
    np.testing.assert_allclose(acting.begin().act(np.array([[1.0, 1.0]])), [[0.1]])


def test_noise_is_scaled_and_actions_stay_in_their_range(policy):
    acting = policy.begin()
    np.testing.assert_allclose(acting.act(np.array([[1.0, 0.0]]), np.array([[1.0]])), [[0.4]])
    np.testing.assert_allclose(acting.act(np.array([[1.0, 0.0]]), np.array([[99.0]])), [[1.0]])


def test_a_policy_survives_a_file_bit_for_bit(policy):
    policy = replace(policy, hold=Hold(0.1, 1))
    after = policy_from_tensors(policy.tensors(), policy.version, SPACES)
    assert (
        isinstance(after, LinearPolicy)
        and after.version == 4
        and (after.form, after.hold) == (FORM, Hold(0.1, 1))
    )
    one, two, rng = policy.begin(), after.begin(), np.random.default_rng(0)
    for _ in range(STEPS):
        seen, noise = rng.normal(size=(2, 2)), rng.normal(size=(2, 1))
        np.testing.assert_array_equal(one.act(seen, noise), two.act(seen, noise))


def test_at_the_goal_the_last_action_is_held_and_the_steps_do_not_count(policy):
    """Of two robots, the first one arrives before its second step, and leaves again."""
    acting = replace(policy, hold=Hold(0.5, 1)).begin()
    far, near = [1.0, 1.0], [1.0, 0.2]
    np.testing.assert_allclose(acting.act(np.array([far, far]))[:, 0], [0.1, 0.1])
    np.testing.assert_allclose(acting.act(np.array([near, far]))[:, 0], [0.1, 0.3])
    noisy = acting.act(np.array([near, far]), np.ones((2, 1)))
    np.testing.assert_allclose(noisy[:, 0], [0.1, 0.5])  # without noise, and 0.2 + 0.3
    third = acting.act(np.array([far, far]))
    np.testing.assert_allclose(third[:, 0], [0.3, 0.2])  # its second step: 0.2 * 1 + 0.1


def test_an_episode_that_begins_at_the_goal_acts_once(policy):
    acting = replace(policy, hold=Hold(0.5, 1)).begin()
    np.testing.assert_allclose(acting.act(np.array([[1.0, 0.0]])), [[0.1]])
    np.testing.assert_allclose(acting.act(np.array([[2.0, 0.0]])), [[0.1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"linear_offset": None}, "p lacks linear_offset"),
        ({"bias_0": np.zeros(2)}, "has 'bias_0', which no linear policy has"),
        ({"linear_gain": np.zeros((2, 3, 1, 2))}, "linear_gain of p has shape"),
        ({"linear_offset": np.zeros(3)}, "linear_gain of p has shape"),
        ({"linear_offset": np.zeros((0, 0, 1))}, "has shape"),
        ({"linear_starts": np.zeros((2, 3))}, "linear_starts of p has shape"),
        ({"linear_moving": np.array([2.0])}, "linear_moving of p holds 2; .* 0 to 1"),
        ({"linear_elements": np.array([0.0, 0.5])}, "linear_elements of p holds 0.5"),
        ({"linear_factor": np.full((2, 3, 1, 1), np.nan)}, "linear_factor of p holds nan"),
        ({"linear_hold": np.array([-0.1, 0.0])}, "linear_hold of p holds -0.1"),
        ({"linear_hold": np.array([0.1, 2.0])}, "element 2; .* 0 to 1"),
        ({"noise_exponent": np.array([9.0])}, "noise_exponent of p .* 0 to 4"),
    ],
)
def test_tensors_of_no_linear_policy_are_refused_by_name(policy, change, message):
    tensors = {n: t for n, t in (policy.tensors() | change).items() if t is not None}
    with pytest.raises(BadRun, match=message):
        policy_from_tensors(tensors, 0, SPACES, "p")
