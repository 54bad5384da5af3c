"""Two streams, paired by their stamps."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlab_core.environment.stamp_sync import MEMORY, StampSync
from handlab_core.types import SAME_TIME, ObjectEstimate

PERIOD = 0.01  # s, of a driver in real pace


def state(stamp):
    return ObjectEstimate(np.array([stamp]), np.zeros(1), np.zeros(1))


def stamps(pairs):
    return [(float(a.stamp[0]), float(b.stamp[0])) for a, b in pairs]


def test_states_a_tolerance_apart_do_not_pass_for_a_pair():
    """0.53 - 0.51 is more than 0.02 and 0.53 - 0.02 is not more than 0.51, in floating point."""
    sync = StampSync()
    sync.add_b(state(0.53))
    for stamp in (0.50, 0.51):
        sync.add_a(state(stamp))
    assert sync.waiting and not stamps(sync.pairs())
    sync.add_a(state(0.52))
    assert sync.waiting  # the equal one may still come
    sync.add_a(state(0.53))
    assert not sync.waiting and stamps(sync.pairs()) == [(0.53, 0.53)]


@given(st.lists(st.booleans(), min_size=400, max_size=400), st.integers(0, 2**40))
def test_of_one_driver_every_state_is_paired_with_its_equal_whatever_the_order(order, start):
    """Stamps of a hundred years and of a second, either stream ahead by any number of states."""
    times = [(start + i * 10_000_000) / 1e9 for i in range(200)]
    sync, streams, found = StampSync(), {True: iter(times), False: iter(times)}, []
    for first in [*order, *[True, False] * 200]:
        if (stamp := next(streams[first], None)) is not None:
            (sync.add_a if first else sync.add_b)(state(stamp))
            found += stamps(sync.pairs())
    assert found == [(t, t) for t in times]


@given(st.floats(0.0, PERIOD), st.floats(0.8, 1.2), st.permutations(range(40)))
def test_of_two_drivers_the_pairs_do_not_depend_on_the_order_of_arrival(phase, ratio, order):
    a = [round(phase + i * PERIOD * ratio, 9) for i in range(60)]
    b = [round(0.05 + i * PERIOD, 9) for i in range(40)]

    def pair(arrivals):
        sync, found = StampSync(), []
        for add, stamp in arrivals:
            (sync.add_a if add else sync.add_b)(state(stamp))
            found += stamps(sync.pairs())
        return found

    a_first = pair([(True, t) for t in a] + [(False, t) for t in b])
    b_first = pair([(False, t) for t in b] + [(True, t) for t in a])
    times = sorted([(t, True) for t in a] + [(t, False) for t in b], key=lambda x: x[0])
    assert a_first == b_first == pair([(add, t) for t, add in times])
    for one, other in a_first:
        gap = min(abs(t - other) for t in a)
        assert abs(one - other) <= min(gap, SAME_TIME) + 1e-12


def test_a_state_without_a_partner_is_left_out():
    sync = StampSync()
    for stamp in (1.0, 2.0):
        sync.add_a(state(stamp))
    for stamp in (1.0, 1.5, 2.0):
        sync.add_b(state(stamp))
    assert stamps(sync.pairs()) == [(1.0, 1.0), (2.0, 2.0)]


@pytest.mark.parametrize("order", sorted(set(permutations("aabb"))))
@pytest.mark.parametrize("ahead", [0.0, 0.1])
def test_where_time_began_again_no_old_state_is_paired_and_new_ones_are(order, ahead):
    sync = StampSync()
    sync.add_a(state(500.0))
    sync.add_b(state(500.0 + ahead))
    list(sync.pairs())
    streams, found = {"a": iter((0.1, 0.2)), "b": iter((0.1, 0.2))}, []
    for name in (*order, "a", "b"):
        (sync.add_a if name == "a" else sync.add_b)(state(next(streams[name], 0.3)))
        found += stamps(sync.pairs())
    assert (0.3, 0.3) in found and all(a < 1.0 > b for a, b in found)


def test_a_stream_that_repeats_itself_finds_the_newest_state_of_the_other_again():
    """In lockstep the world waits, and no newer state would ever come."""
    sync = StampSync()
    for stamp in (4.7, 4.8, 4.9):
        sync.add_a(state(stamp))
        sync.add_b(state(stamp))
    assert stamps(sync.pairs())[-1] == (4.9, 4.9)
    for stamp in (1.8, 4.8, 4.9):
        sync.add_b(state(stamp))
    assert stamps(sync.pairs())[-1] == (4.9, 4.9)


def test_its_memory_ends():
    sync = StampSync()
    for i in range(2 * MEMORY):
        sync.add_b(state(i * PERIOD))
    for i in range(2 * MEMORY):
        sync.add_a(state(i * PERIOD))
    assert len(stamps(sync.pairs())) == MEMORY
