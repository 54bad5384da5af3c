"""The commands that are recorded as sent are those on the wire, whatever happens to the servos."""

import time

import numpy as np
import pytest

from handlab_core.types import Command
from handlab_hardware.dynamixel.emulator.tap import GoalTap
from handlab_hardware.dynamixel.failures import REOPEN_PERIOD
from handlab_hardware.dynamixel.protocol import units

FIXTURE = Command(np.array([[-1.0]]), np.array([[1.0]]))
SLACK = 1e-9  # of float arithmetic


@pytest.fixture
def tapped(rig):
    """An active station, and what is heard on its wire."""
    rig.tap = GoalTap()
    rig.port.bus.taps.append(rig.tap)
    rig.station.activate()
    rig.tap.take()
    return rig


def recorded(rig):
    """Id to goal [ticks], of every joint that was sent a goal by the guard's record."""
    hand, fixture = rig.guard.sent
    q, effort = np.append(hand.q, fixture.q), np.append(hand.effort, fixture.effort)
    servos = rig.station._servos.servos
    ticks = units.rad_to_ticks(
        np.nan_to_num(q), [s.zero for s in servos], [s.direction for s in servos]
    )
    return {s.id: int(t) for s, t, e in zip(servos, ticks, effort, strict=True) if e > 0}


def check(rig, cycles, **command):
    """Step, and compare the record with the wire in every cycle."""
    for _ in range(cycles):
        rig.tap.take()
        rig.step(**command)
        heard = {goal.id: goal.ticks for goal in rig.tap.take() if not goal.alone}
        assert heard == recorded(rig)
    return heard


def test_what_is_recorded_is_what_went_out(tapped):
    assert set(check(tapped, 30, q=0.3, fixture=FIXTURE)) == {s.id for s in tapped.port.bus.servos}
    effort = np.where(np.arange(9) == 4, 0.0, 3.0)
    assert set(check(tapped, 5, q=-2.0, effort=effort)) == {10, 11, 12, 20, 22, 30, 31, 32}


def test_also_while_a_servo_is_silent_and_its_group_holds(tapped):
    check(tapped, 30, q=0.3, fixture=FIXTURE)
    tapped.fault("dead", id=21)
    check(tapped, 30, q=-0.4, fixture=FIXTURE)
    assert "holds" in " ".join(tapped.station.motor_status.problems)
    before = tapped.guard.sent[0].q.copy()
    check(tapped, 30, q=-0.4, fixture=FIXTURE)
    np.testing.assert_allclose(tapped.guard.sent[0].q, before, atol=1e-9)
    tapped.fault("clear")
    check(tapped, 150, q=-0.4, fixture=FIXTURE)
    np.testing.assert_allclose(tapped.guard.sent[0].q, -0.4, atol=1e-9)


def test_also_while_a_servo_is_hot(tapped):
    check(tapped, 20, q=0.2)
    place = [s.id for s in tapped.port.bus.servos].index(12)
    tapped.port.bus.loop.temperature[place] = 77
    for _ in range(200):
        heard = check(tapped, 1, q=0.2)
        if tapped.station.motor_status.hand.hot[2]:
            break
    assert 12 not in check(tapped, 3, q=0.2) and len(heard) >= 8
    assert tapped.guard.sent[0].effort[0, 2] == 0.0


def test_also_while_a_servo_restarts(tapped):
    check(tapped, 20, q=0.2)
    tapped.fault("overload", id=12)
    check(tapped, 20, q=0.1)
    tapped.station.reboot("FFJ12")
    for _ in range(200):
        check(tapped, 1, q=-0.2)
        time.sleep(0.003)
    assert not tapped.station.motor_status.problems
    assert len(check(tapped, 1, q=-0.2)) == 9


def test_also_when_the_adapter_is_gone_and_after_it_is_back(tapped):
    check(tapped, 20, q=0.2)
    tapped.fault("unplug", seconds=0.3)
    tapped.until(lambda: tapped.station.motor_status.problems, q=0.2)
    tapped.tap.take()
    tapped.step(q=0.2)
    assert not tapped.guard.sent[0].effort.any() and not tapped.tap.take()
    time.sleep(0.4)
    tapped.clock.now += REOPEN_PERIOD
    check(tapped, 30, q=0.2)
    assert tapped.guard.sent[0].effort.all()


def test_also_while_the_station_is_not_active(tapped):
    check(tapped, 10, q=0.2)
    tapped.station.deactivate()
    assert check(tapped, 10, q=0.4) == {}
    tapped.station.activate()
    assert len(check(tapped, 10, q=0.4)) == 9


def test_random_faults_leave_the_record_true(tapped):
    rng = np.random.default_rng(7)
    for _ in range(200):
        if rng.random() < 0.2:
            kind = rng.choice(["drop", "corrupt", "delay", "duplicate"])
            seconds = 0.02 if kind == "delay" else None
            tapped.fault(str(kind), id=int(rng.choice([10, 21, 50])), count=1, seconds=seconds)
        effort = np.where(rng.random(9) < 0.1, 0.0, 3.0)
        fixture = FIXTURE if rng.random() < 0.5 else None
        check(tapped, 1, q=rng.uniform(-2, 2), effort=effort, fixture=fixture)
    assert not np.isnan(tapped.guard.sent[0].q).any()
