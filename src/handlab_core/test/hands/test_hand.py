"""Normalised positions of every hand."""

import numpy as np
import pytest

from handlab_core.hands import HANDS, make_hand


@pytest.mark.parametrize("name", sorted(HANDS))
def test_targets_and_normalised_positions_are_inverse(name):
    hand = make_hand(name)
    action = np.random.default_rng(0).uniform(-1, 1, (5, hand.n))
    np.testing.assert_allclose(hand.normalise(hand.target(action)), action, atol=1e-12)
    np.testing.assert_allclose(hand.target(np.ones(hand.n)), hand.upper, atol=1e-12)
    np.testing.assert_allclose(hand.target(-np.ones(hand.n)), hand.lower, atol=1e-12)
