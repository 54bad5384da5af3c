"""Gaits, by hand."""

import numpy as np
import pytest

from handlab_core.demonstrations.gait import Gait
from handlab_core.errors import BadConfig

GAIT = Gait(np.array([[0.0, 0.0], [1.0, 0.5], [1.0, -0.5]]), np.array(2.0), np.array(0.5))


def test_a_gait_goes_round_at_the_rate_of_its_fastest_joint():
    """Ways of 1, 1 and 1 rad: straight between poses, and round again."""
    along = np.array([0.0, 0.5, 1.0, 1.5, 2.5, 3.25])
    expected = [[0, 0], [0.5, 0.25], [1, 0.5], [1, 0], [0.5, -0.25], [0.25, 0.125]]
    np.testing.assert_allclose(GAIT.pose(along), expected, atol=1e-12)


def test_a_gait_that_cannot_be_is_refused():
    with pytest.raises(BadConfig, match="two poses"):
        Gait(np.zeros((1, 9)), np.array(1.0), np.array(1.0))
    with pytest.raises(BadConfig, match="positive"):
        Gait(np.zeros((2, 9)), np.array(0.0), np.array(1.0))
