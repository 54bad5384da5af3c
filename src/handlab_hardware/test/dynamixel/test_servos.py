"""Servos in a cycle: torque, goals, silence and restarts."""

import time

import numpy as np
import pytest

from handlab_core.errors import UnknownName
from handlab_core.types import Command
from handlab_hardware.dynamixel.failures import (
    HEALTH_PERIOD,
    PROBE_PERIOD,
    SILENT_CYCLES,
    WATCHDOG_COUNTS,
)

PERIOD = 0.01  # s, of a cycle


PULL = Command(np.array([[0.5]]), np.array([[1.0]]))


def torque(rig):
    """Who has torque, by the servos themselves."""
    return {servo.id for servo in rig.port.bus.servos if servo.table.get("torque_enable")}


READ = 14  # bytes of a read instruction


CYCLE = 14 + 9 * 5 + 14 + 10
"""Bytes sent in a cycle: nine goals, and a read of ten servos."""


def sent(rig):
    """Bytes sent so far."""
    return rig.station._bus._port.sent


def sent_in(rig, cycles):
    """Bytes sent in some cycles without a retry, which a slow machine makes now and then."""
    for _ in range(10):
        retries, before = rig.station.motor_status.counts["retries"], sent(rig)
        rig.step(cycles=cycles)
        if rig.station.motor_status.counts["retries"] == retries:
            return sent(rig) - before
    raise AssertionError("there was a retry each time")


def said(rig):
    return " ".join(rig.station.motor_status.problems)


def test_no_effort_releases_a_joint_and_effort_engages_it_where_it_is(live):
    live.step(cycles=3)
    effort = np.full(9, 3.0)
    effort[2] = 0.0
    live.step(effort=effort)
    assert 12 not in torque(live) and not live.station.motor_status.hand.torque[2]
    live.put(12, "goal_position", 1000)
    here = live.station.read().hand.q[0, 2]
    live.step(q=np.where(np.arange(9) == 2, here, 0.0))
    assert 12 in torque(live)
    assert live.get(12, "goal_position") == pytest.approx(2048 + here * 4096 / (2 * np.pi), abs=3)


def test_the_fixture_is_engaged_by_a_command_and_passive_without(live):
    live.step(fixture=PULL, cycles=3)
    assert 50 in torque(live)
    live.step(fixture=None)
    assert 50 not in torque(live)


def test_torque_is_written_only_when_it_changes(live):
    live.step(cycles=3)
    live.station._servos._next_health = np.inf
    assert sent_in(live, 5) == 5 * CYCLE, "a goal and a read in each cycle"


def test_current_based_mode_limits_the_current(make_rig):
    rig = make_rig(mode="current_based_position")
    rig.open().activate()
    assert rig.get(10, "operating_mode") == 5
    rig.step(effort=1.0)
    per_count = 3.0 / 2.3 * 2.69e-3
    assert rig.get(10, "goal_current") == round(1.0 / per_count)
    rig.step(effort=np.inf)
    assert rig.get(10, "goal_current") == round(rig.hand.max_effort[0] / per_count)


def test_the_effort_that_is_recorded_is_at_most_what_the_servo_is_set_to(make_rig):
    rig = make_rig(mode="current_based_position")
    rig.put(10, "current_limit", 100)
    rig.open().activate()
    rig.step(effort=np.inf)
    assert rig.get(10, "goal_current") == 100
    assert rig.guard.sent[0].effort[0, 0] == pytest.approx(100 * 3.0 / 2.3 * 2.69e-3)


def test_torque_can_be_kept_off_by_joint(live):
    guard = live.guard
    for joint in ("FFJ10", "THJ32", "valve"):
        guard.loosen(joint, True)
    live.step(cycles=2, fixture=PULL)
    assert torque(live) == {11, 12, 20, 21, 22, 30, 31}
    guard.loosen("FFJ10", False)
    guard.loosen("valve", False)
    live.step(fixture=PULL)
    assert torque(live) == {10, 11, 12, 20, 21, 22, 30, 31, 50}
    with pytest.raises(UnknownName, match="FFJ10"):
        guard.loosen("thumb", True)


def test_every_servo_is_asked_once_in_a_period(live):
    live.step(cycles=2)
    for servo in live.port.bus.servos:
        live.port.bus.loop.temperature[live.port.bus.servos.index(servo)] = 40 + servo.id / 10
    cycles = round(HEALTH_PERIOD / 0.01)
    assert sent_in(live, cycles) == cycles * CYCLE + 10 * READ
    expected = [40 + int(j[3:]) / 10 for j in live.hand.joints]
    np.testing.assert_allclose(live.station.motor_status.hand.temperature, expected, atol=1.5)


@pytest.mark.parametrize("fault", ["drop", "corrupt"])
def test_a_lost_packet_is_retried_within_the_cycle(live, fault):
    live.step()
    live.fault(fault, id=21, count=1)
    stamp = live.clock.now
    reading = live.step()
    assert reading.hand.stamp[0] > stamp and reading.fixture.stamp[0] > stamp
    counts = live.station.motor_status.counts
    assert counts["retries"] >= 1 and counts["stale_cycles"] == 0
    assert not live.station.motor_status.problems


def test_a_silent_servo_is_reported_after_some_cycles_and_its_group_holds(live):
    live.until(lambda: np.abs(live.station.read().hand.q).max() < 0.01)
    fresh = live.step()
    live.fault("dead", id=21)
    for cycle in range(1, SILENT_CYCLES + 1):
        assert not live.station.motor_status.problems
        reading = live.step(q=0.4)
        assert reading.hand.stamp == fresh.hand.stamp, "stale data is never given as new"
        np.testing.assert_array_equal(reading.hand.q, fresh.hand.q)
        if cycle < SILENT_CYCLES:
            assert reading.fixture.stamp == fresh.fixture.stamp, "no object without its hand"
    assert reading.fixture.stamp[0] == live.clock.now, "the other group goes on"
    assert "servo 21 (MFJ21) is silent" in said(live)
    assert live.station.motor_status.hand.silent.tolist() == [False] * 4 + [True] + [False] * 4
    held = live.station._servos.q.copy()
    live.step(q=0.4, cycles=60)
    np.testing.assert_allclose(live.station._servos.q[:4], held[:4], atol=0.05)
    assert {10, 11, 12, 20} <= torque(live), "it holds"
    live.fault("clear")
    live.until(lambda: live.station.read().hand.stamp[0] == live.clock.now, q=0.4)
    assert not live.station.motor_status.problems
    live.until(lambda: np.abs(live.station.read().hand.q - 0.4).max() < 0.01, q=0.4)
    assert live.station.motor_status.counts["silent_servos"] == 1


def test_servos_that_fell_silent_together_come_back_together(live):
    """Only answers were lost: no servo needs to be set up again or waited for."""
    live.step(cycles=3)
    live.fault("drop")
    live.until(lambda: live.station.motor_status.hand.silent.all(), cycles=3 * SILENT_CYCLES)
    live.fault("clear")
    writes, before = sent(live), torque(live)
    period = round(PROBE_PERIOD / PERIOD)
    began = live.clock.now
    live.until(lambda: not live.station.motor_status.problems)
    cycles = round((live.clock.now - began) / PERIOD)
    assert torque(live) == before and len(before) == 9
    assert sent(live) - writes < (cycles + 2 * period) * CYCLE, "no servo is set up again"
    live.until(lambda: live.station.read().hand.stamp[0] == live.clock.now)


def test_a_release_reaches_a_hand_that_holds(live):
    live.step()
    live.fault("dead", id=21)
    live.step(cycles=SILENT_CYCLES)
    live.step(effort=0.0)
    assert torque(live) <= {21}


def test_one_servo_is_rebooted_alone(live):
    live.until(lambda: np.abs(live.station.read().hand.q).max() < 0.01)
    live.fault("overload", id=12)
    live.until(lambda: live.station.motor_status.problems, cycles=3)
    assert "reports overload and shut down" in said(live)
    live.step(cycles=20)
    assert torque(live) == {10, 11, 20, 21, 22, 30, 31, 32}
    assert live.station.motor_status.counts.get("refusals", 0) == 0, "it is not asked in vain"
    live.station.reboot("FFJ12")
    assert "restarts" in said(live)
    deadline = time.monotonic() + 60
    while live.station.motor_status.problems and time.monotonic() < deadline:
        live.step()
        time.sleep(0.005)
    live.step(cycles=2)
    assert not live.station.motor_status.problems
    assert torque(live) == {10, 11, 12, 20, 21, 22, 30, 31, 32}
    assert live.get(12, "bus_watchdog") == WATCHDOG_COUNTS
    assert live.get(12, "return_delay_time") == 0
    assert live.station.motor_status.hand.hardware_error == (0,) * 9


def test_after_a_brown_out_every_servo_is_armed_again(live):
    live.until(lambda: np.abs(live.station.read().hand.q).max() < 0.01)
    live.fault("brown_out", seconds=0.05, volts=3.0)
    time.sleep(0.1)
    deadline = time.monotonic() + 60
    while live.station.motor_status.counts.get("servos_restarted", 0) < 1:
        live.step()
        time.sleep(0.005)
        assert time.monotonic() < deadline
    assert "silent" in said(live) or live.station.motor_status.counts["stale_cycles"]
    live.until(lambda: np.abs(live.station.read().hand.q - 0.1).max() < 0.01, q=0.1)
    servos = live.port.bus.servos  # the fixture's is armed in its turn, after the hand moves
    live.until(lambda: {s.table.get("bus_watchdog") for s in servos} == {WATCHDOG_COUNTS}, q=0.1)
    assert len(torque(live)) == 9 and not live.station.motor_status.problems
