"""The excitation stays in its room, grows slowly, and can be repeated."""

import numpy as np
import pytest

from handlab_core.hands import HANDS, make_hand
from handlab_core.worlds.excitation import RATE, SPEED, approach, excite


@pytest.mark.parametrize("name", sorted(HANDS))
def test_an_excitation_keeps_within_its_amplitude_and_the_range(name):
    hand = make_hand(name)
    centre, amplitude = (hand.lower + hand.upper) / 2, np.full(hand.n, 0.3)
    made = excite(hand, centre, amplitude, 0, 20.0)
    assert made.targets.shape == (2000, hand.n) and made.duration == 20.0
    assert np.abs(made.targets - centre).max() <= 0.3
    assert (made.targets >= hand.lower).all() and (made.targets <= hand.upper).all()
    assert np.abs(made.targets[:50] - centre).max() < 0.05  # s; it begins gently
    assert made.targets[500:].std(axis=0).min() > 0.05
    np.testing.assert_array_equal(made.targets, excite(hand, centre, amplitude, 0, 20.0).targets)
    assert not np.array_equal(made.targets, excite(hand, centre, amplitude, 1, 20.0).targets)


def test_the_way_to_a_pose_is_slow_and_ends_there():
    way = approach(np.zeros(2), np.array([0.5, -1.0]))
    np.testing.assert_allclose(way[-1], [0.5, -1.0])
    assert np.abs(np.diff(way, axis=0)).max() <= SPEED / RATE + 1e-9
