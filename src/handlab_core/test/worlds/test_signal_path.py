"""Errors of commands and measurements: each does what its name says, and can be repeated."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.hands import make_hand
from handlab_core.types import Command, JointState
from handlab_core.worlds.signal_path import SignalPath
from handlab_core.worlds.world import Signals, World

HAND = make_hand("claw")
RANGES = HAND.upper - HAND.lower
EVERY = slice(None)


def state(q, qd=0.0, n=9):
    shape = (1, n)
    return JointState(np.zeros(1), np.full(shape, q), np.full(shape, qd), np.zeros(shape))


def path(signals=None, **changes):
    servos = replace(HAND.servos, **{name: np.full(9, value) for name, value in changes.items()})
    made = SignalPath([World(servos, signals=signals or Signals())], RANGES)
    made.place(EVERY, state(0.0), state(0.0, n=1))
    return made


def sent(made, *angles):
    return [
        made.command(Command(np.full((1, 9), q), np.ones((1, 9))), EVERY)[0][0, 0] for q in angles
    ]


def test_a_clean_path_changes_nothing():
    made = path()
    assert sent(made, 0.1, -0.2) == [0.1, -0.2]
    hand, fixture = made.measure(state(0.3, 1.0), state(0.7, 1.0, n=1), EVERY)
    assert hand.q[0, 0] == 0.3 and fixture.q[0, 0] == 0.7


def test_backlash_is_lost_where_the_gear_turns_back():
    np.testing.assert_allclose(
        sent(path(backlash=0.1), 0.5, 0.48, 0.2, 0.22), [0.45, 0.45, 0.25, 0.25]
    )


def test_steps_of_the_encoder_and_its_zero():
    made = path(resolution=0.01, zero=0.005)
    assert sent(made, 0.1234) == pytest.approx([0.115])
    hand, _ = made.measure(state(0.1234), state(0.0, n=1), EVERY)
    assert hand.q[0, 0] == pytest.approx(0.13)


def test_latency_shows_the_past():
    hand, fixture = path(Signals(latency=0.02)).measure(
        state(0.3, 1.0), state(0.7, 2.0, n=1), EVERY
    )
    assert (hand.q[0, 0], fixture.q[0, 0]) == pytest.approx((0.28, 0.66))


def test_lost_packets_leave_the_last_value():
    made = path(Signals(loss=0.5, stream=(1,)))
    targets, measured = [], []
    for k in range(60):
        targets += sent(made, float(k + 1))
        measured.append(made.measure(state(float(k + 1)), state(0.0, n=1), EVERY)[0].q[0, 0])
    for values in (targets, measured):
        new = sum(value == k + 1 for k, value in enumerate(values))
        assert 15 < new < 45 and np.all(np.diff(values) >= 0)


def test_noise_is_of_its_size_and_a_function_of_its_stream():
    def noise(stream):
        made = path(Signals(noise=0.1, object_noise=0.2, stream=stream))
        rows = [made.measure(state(0.0), state(0.0, n=1), EVERY) for _ in range(100)]
        return np.array([r[0].q[0] for r in rows]), np.array([r[1].q[0, 0] for r in rows])

    joints, thing = noise((3, 1))
    assert np.all(np.abs(joints) <= 0.05 * RANGES) and np.abs(thing).max() <= 0.1
    np.testing.assert_allclose(joints.std(axis=0), 0.1 * RANGES / np.sqrt(12), rtol=0.25)
    np.testing.assert_array_equal(joints, noise((3, 1))[0])
    assert not np.array_equal(joints, noise((3, 2))[0])


def test_jitter_adds_to_the_delay():
    made = path(Signals(jitter=0.01), delay=0.02)
    delays = []
    for _ in range(50):
        delays.append(made.command(Command(np.zeros((1, 9)), np.ones((1, 9))), EVERY)[1][0, 0])
        made.measure(state(0.0), state(0.0, n=1), EVERY)
    assert 0.02 <= min(delays) < 0.022 and 0.028 < max(delays) <= 0.03
