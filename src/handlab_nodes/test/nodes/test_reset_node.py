"""A reset uses the newest reading whose object's state has arrived."""

import numpy as np

from handlab_core.types import JointState
from handlab_nodes.nodes.reset_node import FollowedReadings


def state(stamp):
    zeros = np.zeros((1, 1))
    return JointState(np.array([stamp]), zeros, zeros, zeros)


def add(readings, *stamps):
    for stamp in stamps:
        readings.add_hand(state(stamp))
        readings.add_fixture(state(stamp))


def test_estimates_that_lag_behind_all_the_time_do_not_stop_a_reset():
    """On a busy machine a newer reading is there at every look."""
    readings = FollowedReadings()
    readings.begin()
    for step in range(100):
        add(readings, 0.01 * step)
        readings.estimated = 0.01 * (step - 3)
        newest = readings.newest()
        assert step < 3 or abs(newest.fixture.stamp[0] - readings.estimated) < 1e-9


def test_an_old_reading_counts_only_while_there_is_no_later_one():
    """In lockstep the world waits for the reset; in real pace it has gone on since the last one."""
    readings = FollowedReadings()
    add(readings, 1.0)
    readings.estimated = 1.0
    assert readings.newest().hand.stamp[0] == 1.0
    readings.begin()
    assert readings.newest().hand.stamp[0] == 1.0
    add(readings, 9.0)
    assert readings.newest() is None
    readings.estimated = 9.0
    assert readings.newest().hand.stamp[0] == 9.0


def test_readings_of_a_simulation_that_was_restarted_count_at_once():
    readings = FollowedReadings()
    add(readings, 50.0)
    readings.estimated = 49.0
    assert readings.newest() is None
    add(readings, 0.1)
    readings.estimated = 0.1
    assert readings.newest().hand.stamp[0] == 0.1
