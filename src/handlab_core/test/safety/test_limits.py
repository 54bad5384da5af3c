"""The clamp: what goes to the wire is within limits, whatever is asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handlab_core.hands import HANDS
from handlab_core.safety import limits as safety
from handlab_core.types import Command

PERIOD = 0.1
ANYTHING = st.floats(allow_nan=True, allow_infinity=True)


@pytest.fixture(params=sorted(HANDS))
def hand(request):
    return HANDS.make(request.param)


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_nothing_gets_through(data):
    hand = HANDS.make("claw")
    limits = safety.Limits.of_hand(hand)
    shape = (2, hand.n)
    wild = Command(data.draw(arrays(float, shape, elements=ANYTHING)),
                   data.draw(arrays(float, shape, elements=ANYTHING)))  # fmt: skip
    q = data.draw(arrays(float, shape, elements=st.floats(-3, 3)))
    before = Command(np.clip(q, hand.lower, hand.upper), np.ones(shape))
    sent = safety.clamp(wild, before, q, limits, PERIOD).command
    assert np.isfinite(sent.q).all() and np.isfinite(sent.effort).all()
    assert ((sent.q >= hand.lower) & (sent.q <= hand.upper)).all()
    assert (np.abs(sent.q - before.q) <= hand.max_rate * PERIOD + 1e-12).all()
    assert ((sent.effort >= 0) & (sent.effort <= hand.max_effort)).all()


def test_a_good_command_passes_unchanged_and_is_not_counted(hand):
    limits = safety.Limits.of_hand(hand)
    before = safety.hold(hand.nominal[None], limits)
    wanted = Command(hand.nominal[None] + 0.01 * (hand.nominal[None] < hand.upper), before.effort)
    sent = safety.clamp(wanted, before, hand.nominal[None], limits, PERIOD)
    np.testing.assert_array_equal(sent.command.q, wanted.q)
    assert (sent.dropped, sent.clamped) == (0, 0)


def test_a_nan_keeps_that_joint_only(hand):
    limits = safety.Limits.of_hand(hand)
    before = safety.hold(hand.nominal[None], limits)
    wanted = before.q.copy()
    wanted[0, 0] = np.nan
    sent = safety.clamp(Command(wanted, before.effort), before, before.q, limits, PERIOD)
    np.testing.assert_array_equal(sent.command.q, before.q)
    assert sent.dropped == 1


def test_a_released_joint_starts_from_where_it_is(hand):
    limits = safety.Limits.of_hand(hand)
    q = hand.nominal[None] + 0.1 * (hand.nominal[None] + 0.1 <= hand.upper)
    released = safety.release(hand.lower[None].copy())
    far = Command(hand.upper[None], np.full(q.shape, np.inf))
    sent = safety.clamp(far, released, q, limits, PERIOD).command
    assert (sent.q <= q + hand.max_rate * PERIOD + 1e-12).all()
