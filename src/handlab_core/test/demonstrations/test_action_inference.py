"""Actions inferred from motion, by hand."""

import numpy as np
import pytest

from handlab_core.demonstrations.action_inference import Travel, loaded_servo, next_position, servo
from handlab_core.tasks import make_task

TASK = make_task("valve")
HAND, FIXTURE = TASK.hand, TASK.fixture
N = HAND.n


def test_a_free_servo_by_hand():
    """Stiffness 2, losses 0.1, 0.1 s: a target moves the joint 1 - exp(-2) = 0.8647 of the way."""
    travel = Travel(np.array([np.zeros(N), np.full(N, 0.1)]), np.zeros(2), 0.1)
    np.testing.assert_allclose(servo(HAND, FIXTURE, travel), [[0.1 / 0.86466472] * N])
    np.testing.assert_array_equal(next_position(HAND, FIXTURE, travel), [[0.1] * N])
    np.testing.assert_array_equal(loaded_servo(HAND, FIXTURE, travel), servo(HAND, FIXTURE, travel))


def test_what_the_object_takes_up_the_fingers_give():
    """One joint moves by 0.1 rad and the valve by 0.2 in 0.1 s: (0.1 * 2 + 0.01) * 0.2 N m rad."""
    moved = np.zeros(N)
    moved[3] = 0.1
    travel = Travel(np.array([np.zeros(N), moved]), np.array([0.0, -0.2]), 0.1)
    load = loaded_servo(HAND, FIXTURE, travel) - servo(HAND, FIXTURE, travel)
    assert load[0, 3] == pytest.approx(0.21 * 0.2 / 0.1 / HAND.stiffness[3], rel=1e-6)
    assert not np.delete(load[0], 3).any()
