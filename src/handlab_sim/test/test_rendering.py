"""Off-screen rendering of a station."""

import numpy as np
import pytest

from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.types import JointState
from handlab_sim.rendering import StationRenderer


@pytest.fixture(scope="module")
def renderer():
    made = StationRenderer(make_hand("claw"), FIXTURES.make("valve"), width=64, height=48)
    yield made
    made.close()


def state(q):
    q = np.atleast_2d(q)
    return JointState(np.zeros(len(q)), q, np.zeros_like(q), np.zeros_like(q))


def test_a_picture_shows_the_row_and_the_mark_of_the_goal(renderer):
    nominal = make_hand("claw").nominal
    hand, fixture = state(np.tile(nominal, (2, 1))), state([[0.0], [0.5]])
    first, second = (renderer.frame(hand, fixture, row=row) for row in (0, 1))
    assert first.shape == (48, 64, 3) and first.dtype == np.uint8
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, renderer.frame(hand, fixture, goal=1.0))
    np.testing.assert_array_equal(first, renderer.frame(hand, fixture))
