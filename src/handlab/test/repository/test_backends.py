"""What every backend must do behind the clamp, whatever it is made of."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.errors import StationFault
from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.types import Command
from handlab_hardware.dynamixel.backend import DynamixelBackend
from handlab_hardware.dynamixel.emulator import EmulatorConfig, emulate
from handlab_hardware.station_file import load_station, station_path
from handlab_sim.backend import MujocoBackend

HAND, FIXTURE = make_hand("claw"), FIXTURES.make("valve")
PERIOD = 0.1  # s


def mujoco(tmp_path):
    yield MujocoBackend(HAND, FIXTURE, num_envs=1)


def mujoco_batch(tmp_path):
    yield MujocoBackend(HAND, FIXTURE, num_envs=3, threads=2)


def dynamixel(tmp_path):
    station = load_station(station_path("claw"))
    ids = tuple(servo.id for servo in station.dynamixel.servos)
    port = emulate(EmulatorConfig(ids=ids, link=tmp_path / "dxl"))
    port.bus.loop.physics.place(np.array([s.zero for s in station.dynamixel.servos]))
    with port:
        section = replace(station.dynamixel, port=port.name)
        backend = DynamixelBackend(HAND, FIXTURE, replace(station, dynamixel=section))
        backend.activate()
        yield backend
        backend.close()


@pytest.fixture(params=[mujoco, mujoco_batch, dynamixel], ids=lambda make: make.__name__)
def backend(request, tmp_path):
    for made in request.param(tmp_path):
        yield ClampedBackend(HAND, FIXTURE, made)


def hold(backend, q=None, effort=1.0):
    """Where the hand is, or shall be."""
    q = backend.read().hand.q if q is None else np.full((backend.num_envs, HAND.n), q)
    return Command(q, np.full(q.shape, effort))


def turn(backend, angle, effort=1.0):
    return Command(np.full((backend.num_envs, 1), angle), np.full((backend.num_envs, 1), effort))


def check(backend, reading):
    """Shapes, and stamps that a ROS message can carry."""
    for state, n in ((reading.hand, HAND.n), (reading.fixture, 1)):
        assert state.stamp.shape == (backend.num_envs,)
        for value in (state.q, state.qd, state.effort):
            assert value.shape == (backend.num_envs, n) and value.dtype == np.float64
            assert np.isfinite(value).all()
        assert all(round(s * 1e9) / 1e9 == s for s in state.stamp)


def test_it_can_be_read_before_anything_was_done(backend):
    check(backend, backend.read())


def test_a_step_returns_the_newest_reading_and_stamps_advance(backend):
    before = backend.read()
    for fixture in (None, turn(backend, 0.1), None):
        after = backend.step(hold(backend), fixture, PERIOD)
        check(backend, after)
        for group in ("hand", "fixture"):
            assert (getattr(after, group).stamp > getattr(before, group).stamp).all()
        newest = backend.read()
        np.testing.assert_array_equal(newest.hand.q, after.hand.q)
        np.testing.assert_array_equal(newest.hand.stamp, after.hand.stamp)
        before = after


def test_a_reading_does_not_change_afterwards(backend):
    before = backend.step(hold(backend), None, PERIOD)
    kept = before.hand.q.copy(), before.hand.stamp.copy(), before.fixture.q.copy()
    for _ in range(5):
        backend.step(hold(backend, 0.4), turn(backend, 1.0), PERIOD)
    for value, copy in zip((before.hand.q, before.hand.stamp, before.fixture.q), kept, strict=True):
        np.testing.assert_array_equal(value, copy)


def test_commands_are_left_as_they_were(backend):
    command, fixture = hold(backend, 0.1), turn(backend, 0.1)
    copies = command.q.copy(), command.effort.copy(), fixture.q.copy()
    backend.step(command, fixture, PERIOD)
    for value, copy in zip((command.q, command.effort, fixture.q), copies, strict=True):
        np.testing.assert_array_equal(value, copy)


def test_joints_go_where_they_are_told(backend):
    target = np.tile((0.1, -0.6, 0.6), 3)
    command = Command(np.tile(target, (backend.num_envs, 1)), hold(backend, effort=3.0).effort)
    for _ in range(300):
        reading = backend.step(command, None, PERIOD)
        if np.abs(reading.hand.q - target).max() < 0.12:
            return
    pytest.fail(f"the hand is at {reading.hand.q}, not at {target}")


def test_the_fixture_turns_when_it_is_told_and_only_then(backend):
    command = hold(backend)  # the hand stays: it must not turn the object
    before = backend.read().fixture.q
    for _ in range(3):
        after = backend.step(command, None, PERIOD).fixture.q
    np.testing.assert_allclose(after, before, atol=0.05)
    for _ in range(300):
        after = backend.step(command, turn(backend, 0.4, 3.0), PERIOD).fixture.q
        if np.abs(after - 0.4).max() < 0.1:
            return
    pytest.fail(f"the object is at {after}, not at 0.4")


def test_behind_the_clamp_commands_go_out_whole_and_within_limits(backend):
    guarded = backend
    wild = Command(np.full((backend.num_envs, HAND.n), 99.0), hold(backend, effort=np.inf).effort)
    wild.q[:, 0] = np.nan
    check(backend, guarded.step(wild, turn(backend, -99.0, np.inf), PERIOD))
    hand, fixture = guarded.sent
    assert hand.q.shape == hand.effort.shape == (backend.num_envs, HAND.n)
    assert ((hand.q >= HAND.lower) & (hand.q <= HAND.upper)).all()
    assert (fixture.q >= FIXTURE.lower).all() and (hand.effort <= HAND.max_effort).all()
    assert guarded.dropped == backend.num_envs


def test_a_placing_is_done_or_refused_with_a_reason(backend):
    before = backend.read()
    try:
        after = backend.reset(None, 0.3)
    except StationFault as error:
        assert "placed" in str(error)
        np.testing.assert_array_equal(backend.read().hand.stamp, before.hand.stamp)
        return
    check(backend, after)
    np.testing.assert_allclose(after.fixture.q, 0.3, atol=1e-6)
    assert (after.hand.stamp > before.hand.stamp).all()


def test_closing_twice_is_harmless(backend):
    backend.step(hold(backend), None, PERIOD)
    backend.close()
    backend.close()
