"""The schedule of a driver in real pace."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlab_core.errors import StationFault, UnknownName
from handlab_core.hardware.lockstep import FIXTURE, HAND
from handlab_core.safety import limits
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.tasks import make_task
from handlab_core.types import Command
from handlab_nodes.driver.step_loop import LockstepPace, RealPace, next_due
from handlab_sim.backend import MujocoBackend

PERIOD = 0.01  # s


@given(late=st.floats(-PERIOD, 100.0))
def test_missed_periods_are_skipped_and_the_phase_is_kept(late):
    periods = next_due(0.0, late, PERIOD) / PERIOD
    assert abs(periods - round(periods)) < 1e-6 and periods >= 1
    assert next_due(0.0, late, PERIOD) > late - PERIOD - 1e-9, "at most one step comes at once"


def test_a_step_that_is_a_little_late_does_not_cost_a_period():
    assert next_due(0.0, 1.2 * PERIOD, PERIOD) == PERIOD


RATE, RESTING_RATE = 100.0, 20.0  # Hz


SELDOM = 2.0  # Hz; rate of rest whose periods are far longer than a busy machine is late


@pytest.fixture
def resting_rate():
    return RESTING_RATE


@pytest.fixture
def pace(monkeypatch, resting_rate):
    """A driver's loop that lets the hand go after a tenth of a second, and its readings' times."""
    monkeypatch.setattr(limits, "COMMAND_TIMEOUT", 0.05)
    monkeypatch.setattr(limits, "RELEASE_TIMEOUT", 0.1)
    task, times = make_task("valve"), []
    backend = ClampedBackend(task.hand, task.fixture, MujocoBackend(task.hand, task.fixture))

    def publish(reading):
        times.append((time.monotonic(), float(reading.hand.stamp[0])))

    loop = RealPace(task.hand, task.fixture, backend, RATE, publish, resting_rate, simulated=True)
    loop.times, loop.hold = times, limits.hold(backend.read().hand.q, loop._limits)
    loop.start()
    yield loop
    loop.stop()
    loop.check()


def rate(times, since):
    """Hz, of the readings."""
    return np.sum(np.array(times)[:, 0] > since) / (time.monotonic() - since)


def test_a_driver_that_is_not_commanded_rests_and_its_world_keeps_time(pace):
    time.sleep(0.3)
    began = time.monotonic()
    time.sleep(1.0)
    assert rate(pace.times, began) < 1.3 * RESTING_RATE
    (first_wall, first_world), *_, (last_wall, last_world) = pace.times[len(pace.times) // 2 :]
    assert last_world - first_world == pytest.approx(last_wall - first_wall, abs=10 / RESTING_RATE)


@pytest.mark.parametrize("resting_rate", [SELDOM])
def test_a_command_or_a_question_ends_the_rest_at_once(pace):
    time.sleep(0.4)
    for end in (lambda: pace.command(HAND, pace.hold, 0.0), lambda: pace.ask(lambda: None)):
        waits = []
        for _ in range(5):
            time.sleep(0.3)
            before = len(pace.times)
            began = time.monotonic()
            end()
            while len(pace.times) == before:
                time.sleep(0.0005)
            waits.append(time.monotonic() - began)
        assert np.median(waits) < 0.3 / SELDOM


def test_a_driver_that_is_commanded_keeps_its_rate(pace):
    began = time.monotonic()
    while time.monotonic() - began < 1.0:
        pace.command(HAND, pace.hold, 0.0)
        time.sleep(0.02)
    assert rate(pace.times, began + 0.1) > 2 * RESTING_RATE


def test_a_jog_moves_one_joint_a_small_step_and_the_others_hold(pace):
    joint, index = "FFJ11", 1
    start = pace._backend.read().hand.q[0].copy()
    assert pace.jog(joint, 10.0) == pytest.approx(start[index] + limits.JOG_STEP, abs=0.01)
    for _ in range(30):
        target = pace.jog(joint, start[index] + 0.3)
        time.sleep(0.02)
    assert target == pytest.approx(start[index] + 0.3)
    q = pace._backend.read().hand.q[0]
    assert q[index] == pytest.approx(target, abs=0.1)
    assert np.delete(q, index) == pytest.approx(np.delete(start, index), abs=0.1)


def test_a_jog_stays_within_the_range_of_the_joint(pace):
    for _ in range(60):
        target = pace.jog("FFJ10", 10.0)
        time.sleep(0.01)
    assert target == pytest.approx(pace._limits.upper[0])


def test_a_jog_alone_releases_the_other_joints(pace):
    pace.jog("FFJ10", 0.0, alone=True)
    time.sleep(0.03)
    effort = pace._backend.sent[0].effort[0]
    assert effort[0] > 0.0 and not effort[1:].any()


def test_a_jog_is_refused_while_a_node_commands_the_hand_and_for_an_unknown_joint(pace):
    pace.command(HAND, limits.hold(pace._backend.read().hand.q, pace._limits), 0.0)
    with pytest.raises(StationFault, match="another node commands the hand"):
        pace.jog("FFJ10", 0.0)
    time.sleep(0.15)
    pace.jog("FFJ10", 0.0)
    with pytest.raises(UnknownName, match="thumb"):
        pace.jog("thumb", 0.0)


def test_a_jog_that_ends_lets_the_hand_go(pace):
    pace.jog("FFJ10", 0.0)
    time.sleep(0.3)
    assert not pace._backend.sent[0].effort.any()


def test_in_lockstep_a_hand_whose_torque_is_off_is_stepped_without_it():
    """A service call during a reset; the fixture's command completes the step."""
    task, readings = make_task("valve"), []
    backend = ClampedBackend(task.hand, task.fixture, MujocoBackend(task.hand, task.fixture))
    loop = LockstepPace(backend, PERIOD, readings.append)
    loop.engage(HAND, False)
    loop.engage(FIXTURE, True)
    stamp = float(backend.read().hand.stamp[0])
    turn = Command(np.full((1, 1), 0.3), np.full((1, 1), task.fixture.max_effort))
    loop.command(FIXTURE, turn, stamp)
    assert len(readings) == 1 and readings[0].hand.stamp[0] > stamp
