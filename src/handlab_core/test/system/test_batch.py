"""Rows of nested values."""

import numpy as np

from handlab_core.system.batch import put, stack, take
from handlab_core.types import JointState, Reading


def test_rows_are_taken_and_put_through_nested_values():
    state = JointState(np.arange(4.0), *[np.arange(8.0).reshape(4, 2)] * 3)
    whole = Reading(state, state)
    some = take(whole, np.array([1, 3]))
    np.testing.assert_array_equal(some.fixture.stamp, [1, 3])
    back = put(whole, np.array([0, 2]), some)
    np.testing.assert_array_equal(back.hand.stamp, [1, 1, 3, 3])
    np.testing.assert_array_equal(state.stamp, np.arange(4))  # the original is untouched
    assert stack([some, some]).hand.q.shape == (4, 2)
