"""Velocity, interpolation, PD."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handlab_hardware.allegro.control import (
    LONGEST_MOVE,
    Interpolator,
    VelocityEstimate,
    pd_torque,
)

PERIOD = 0.003


def estimates(q, stamps):
    estimate = VelocityEstimate()
    return np.array(
        [estimate.update(np.array([x]), np.array([t]))[0] for x, t in zip(q, stamps, strict=True)]
    )


def test_a_ramp_has_its_velocity():
    """No gain error at rest, whatever the sampling, after some time constants of 5 ms."""
    rng = np.random.default_rng(0)
    stamps = np.cumsum(rng.uniform(0.0005, 0.008, 200))
    assert estimates(0.7 * stamps, stamps)[-1] == pytest.approx(0.7, rel=1e-9)


def test_the_cutoff_is_thirty_hertz():
    t = np.arange(0, 1.0, 1e-4)
    omega = 2 * np.pi * 30.0
    v = estimates(np.sin(omega * t), t)[5000:]
    assert v.max() / omega == pytest.approx(1 / np.sqrt(2), rel=0.01)


def test_frames_that_arrive_together_do_no_harm():
    """Two sets 10 us apart, of a joint that moves with 1 rad/s by the sender's clock."""
    stamps = np.arange(50) * PERIOD
    late = stamps.copy()
    late[30] = stamps[31] - 1e-5
    v = estimates(1.0 * stamps, late)
    assert abs(v[31] - 1.0) < 0.6
    assert v[-1] == pytest.approx(1.0, rel=0.01)


def test_a_joint_without_a_new_frame_keeps_its_velocity():
    estimate = VelocityEstimate()
    for i in range(20):
        v = estimate.update(np.array([i * PERIOD, i * PERIOD]), np.full(2, i * PERIOD))
    held = estimate.update(np.array([0.06, 0.057]), np.array([0.06, 0.057]))
    assert held[1] == v[1] and held[0] != v[0]


def test_a_target_of_ten_hertz_is_reached_evenly_in_its_period():
    interpolator = Interpolator(np.zeros(1), np.array([3.5]))
    interpolator.aim(np.array([0.2]), now=1.0, period=0.01)
    way = [interpolator.at(1.0 + i * 0.01)[0] for i in range(12)]
    np.testing.assert_allclose(way, np.minimum(np.arange(12) * 0.02, 0.2), atol=1e-12)


def test_the_same_target_again_changes_nothing():
    one, two = (Interpolator(np.zeros(1), np.array([3.5])) for _ in range(2))
    for interpolator in (one, two):
        interpolator.aim(np.array([0.2]), now=1.0, period=0.1)
    for i in range(5):
        two.aim(np.array([0.2]), now=1.0 + i * 0.01, period=0.01)
    assert one.at(1.05) == two.at(1.05)


def test_targets_at_a_hundred_hertz_are_followed_at_once():
    interpolator = Interpolator(np.zeros(1), np.array([3.5]))
    for i in range(100):
        interpolator.aim(np.array([0.01 * i]), now=0.01 * i, period=0.01)
    assert interpolator.at(1.0)[0] == pytest.approx(0.99)


@given(
    targets=arrays(float, (10, 3), elements=st.floats(-2, 2)),
    gaps=arrays(float, 10, elements=st.floats(0.001, 0.3)),
)
def test_no_setpoint_is_faster_than_allowed(targets, gaps):
    interpolator = Interpolator(np.zeros(3), np.full(3, 3.5))
    now, before = 0.0, np.zeros(3)
    for target, gap in zip(targets, gaps, strict=True):
        interpolator.aim(target, now, 0.01)
        for _ in range(5):
            now += gap / 5
            setpoint = interpolator.at(now)
            assert (np.abs(setpoint - before) <= 3.5 * gap / 5 + 1e-12).all()
            before = setpoint


def test_a_time_that_goes_back_moves_nothing():
    interpolator = Interpolator(np.zeros(1), np.array([3.5]))
    interpolator.aim(np.array([0.2]), now=1.0, period=0.1)
    there = interpolator.at(1.05)
    assert interpolator.at(1.02) == there and interpolator.at(1.05) == there
    assert interpolator.at(1.06) == pytest.approx(0.12)


def test_a_released_joint_does_not_jump_when_it_is_engaged():
    interpolator = Interpolator(np.zeros(2), np.full(2, 3.5))
    interpolator.aim(np.array([1.0, 1.0]), 0.0, 0.1)
    fallen = np.array([-0.5, 0.0])
    interpolator.follow(fallen, np.array([True, False]))
    first = interpolator.at(PERIOD)
    assert abs(first[0] - fallen[0]) <= 3.5 * PERIOD + 1e-12
    assert interpolator.at(PERIOD + LONGEST_MOVE)[0] > fallen[0]


def test_torque_by_hand_and_within_its_limit():
    torque = pd_torque(np.array([0.1, 9.0]), np.array([1.0, 0.0]), 2.0, 0.05, np.array([0.3, 0.3]))
    np.testing.assert_allclose(torque, [0.15, 0.3])
