"""Profiles: velocity, acceleration and arrival."""

import numpy as np

from handlab_hardware.dynamixel.emulator.firmware import profile


def test_profiles_arrive_within_their_limits():
    rng, n, dt = np.random.default_rng(0), 300, 2e-3
    goal, speed = rng.uniform(-3000, 3000, n), rng.uniform(-500, 500, n)
    top, acceleration = rng.uniform(100, 2000, n), rng.uniform(500, 50_000, n)
    position, most = np.zeros(n), np.maximum(top, np.abs(speed))
    arrived = np.zeros(n, dtype=bool)
    for _ in range(40_000):
        before = speed
        position, speed = profile.follow(position, speed, goal, top, acceleration, dt)
        arrived |= position == goal
        assert (position[arrived] == goal[arrived]).all()
        change = np.abs(speed - before)
        assert (arrived | (change <= acceleration * dt * (1 + 1e-9))).all()
        assert (np.abs(speed) <= most).all()
        if arrived.all():
            return
    raise AssertionError(f"{n - arrived.sum()} profiles never arrived")


def test_a_profile_of_no_speed_is_at_its_goal_at_once():
    position, speed = profile.follow(
        np.zeros(2), np.zeros(2), np.array([5.0, -7.0]), np.zeros(2), np.ones(2), 1e-3
    )
    np.testing.assert_array_equal(position, [5.0, -7.0])
    np.testing.assert_array_equal(speed, 0.0)
