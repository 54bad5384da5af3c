"""The failure ladder, rung by rung, against the emulator."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handlab_core.errors import StationFault
from handlab_core.types import Command
from handlab_hardware.dynamixel.failures import (
    REOPEN_PERIOD,
    WATCHDOG,
    WATCHDOG_COUNTS,
)
from handlab_hardware.dynamixel.protocol.registers import RAD_PER_TICK
from handlab_hardware.dynamixel.servos import Servos


def torque(rig):
    """Who has torque, by the servos themselves."""
    return {servo.id for servo in rig.port.bus.servos if servo.table.get("torque_enable")}


def said(rig):
    return " ".join(rig.station.motor_status.problems)


def test_the_first_reading_is_as_old_as_its_stamp_says(make_rig, monkeypatch):
    rig, examine = make_rig(), Servos.examine_all

    def examine_slowly(servos, bus):
        rig.clock.now += 1.0
        examine(servos, bus)

    monkeypatch.setattr(Servos, "examine_all", examine_slowly)
    assert rig.open().read().hand.stamp[0] == 1000.0


def test_after_a_failure_the_port_is_free(make_rig):
    rig = make_rig()
    rig.put(22, "drive_mode", 1)
    for _ in range(2):
        with pytest.raises(StationFault, match="drive mode"):
            rig.open()
    rig.put(22, "drive_mode", 0)
    rig.open()


def test_nothing_moves_before_it_is_active(rig):
    rig.step(q=0.3, cycles=5)
    assert torque(rig) == set()


def test_activation_holds_the_hand_where_it_is(rig):
    before = rig.station.read().hand.q
    rig.put(12, "goal_position", 1000)
    rig.station.activate()
    assert torque(rig) == {10, 11, 12, 20, 21, 22, 30, 31, 32}, "the fixture stays passive"
    time.sleep(0.1)
    rig.station.deactivate()
    rig.step()
    np.testing.assert_allclose(rig.station.read().hand.q, before, atol=0.02)


def test_joints_go_where_they_are_told(live):
    target = np.linspace(-0.4, 0.4, 9)
    live.until(lambda: np.abs(live.station.read().hand.q - target).max() < 0.01, q=target)


def test_direction_and_zero_are_those_of_the_file(make_rig):
    rig = make_rig()
    section = rig.file.dynamixel
    servos = (replace(section.servos[0], direction=-1, zero=3.0), *section.servos[1:])
    rig.file = replace(rig.file, dynamixel=replace(section, servos=servos))
    rig.open().activate()
    rig.until(lambda: abs(rig.station.read().hand.q[0, 0] - 0.3) < 0.01, q=0.3)
    assert rig.get(10, "goal_position") == round((3.0 - 0.3) * 4096 / (2 * np.pi))


def test_a_joint_approaches_no_faster_than_its_hand_allows(live):
    start = live.station.read().hand.q[0, 0]
    assert abs(start) > 1, "the emulated top joints begin far from zero"
    live.step(q=0.0)
    reach = live.hand.max_rate[0] * 0.01 - RAD_PER_TICK
    goal = (live.get(10, "goal_position") - 1024) * 2 * np.pi / 4096
    assert goal == pytest.approx(start - reach, abs=0.002)


def test_the_valve_turns_more_than_once(live):
    turn = Command(np.array([[-2 * np.pi]]), np.array([[3.0]]))
    live.until(lambda: live.station.read().fixture.q[0, 0] < -6.2, fixture=turn)


def test_hardware_cannot_be_placed(live):
    with pytest.raises(StationFault, match="cannot be placed"):
        live.station.reset()


def test_closing_releases_and_disarms(live):
    live.step()
    live.station.close()
    live.station.close()
    assert torque(live) == set()
    assert {s.table.get("bus_watchdog") for s in live.port.bus.servos} == {0}
    with pytest.raises(StationFault, match="closed"):
        live.step()


def test_stamps_are_whole_nanoseconds_of_the_clock_and_advance(live):
    stamps = [live.step().hand.stamp[0] for _ in range(3)]
    assert stamps == sorted(set(stamps)) and stamps[-1] == live.clock.now
    assert all(round(s * 1e9) / 1e9 == s for s in stamps)


def test_a_hot_servo_asks_for_a_pause_and_a_hotter_one_lets_go(live):
    loop = live.port.bus.loop
    place = [s.id for s in live.port.bus.servos].index(12)
    live.step(cycles=2)
    loop.temperature[place] = 68
    live.until(lambda: live.station.motor_status.hand.pause)
    assert 12 in torque(live) and not live.station.motor_status.fixture.pause
    loop.temperature[place] = 77
    live.until(lambda: live.station.motor_status.hand.hot[2])
    live.step()
    assert torque(live) == {10, 11, 20, 21, 22, 30, 31, 32}
    assert "servo 12 (FFJ12) is hot, 7" in said(live)
    loop.temperature[place] = 60
    live.until(lambda: 12 in torque(live))
    assert live.station.motor_status.hand.pause, "until it is cool"
    loop.temperature[place] = 50
    live.until(lambda: not live.station.motor_status.hand.pause)
    assert not said(live)


def test_an_error_at_activation_refuses_and_leaves_nothing_engaged(rig):
    rig.fault("overload", id=30)
    time.sleep(0.05)
    with pytest.raises(StationFault, match=r"cannot engage servo 30 \(THJ30\).*overload"):
        rig.station.activate()
    assert torque(rig) == set()


def test_an_unplugged_adapter_is_announced_and_taken_back(live):
    live.until(lambda: np.abs(live.station.read().hand.q).max() < 0.01)
    last = live.step()
    live.fault("unplug", seconds=0.3)
    live.until(lambda: "is gone: plug it in" in said(live))
    assert (
        live.station.motor_status.hand.silent.all()
        and not live.station.motor_status.hand.torque.any()
    )
    assert live.station.read().hand.stamp[0] < live.clock.now
    assert live.station.read().hand.stamp[0] >= last.hand.stamp[0]
    deadline = time.monotonic() + 60
    while not Path(live.port.name).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    live.step(q=0.2, cycles=round(REOPEN_PERIOD / 0.01) + 1)
    live.until(lambda: not live.station.motor_status.problems, q=0.2)
    assert live.station.motor_status.counts["reopened"] == 1
    live.until(lambda: live.station.read().hand.stamp[0] == live.clock.now, q=0.2)
    live.until(lambda: np.abs(live.station.read().hand.q - 0.2).max() < 0.01, q=0.2)
    assert {s.table.get("bus_watchdog") for s in live.port.bus.servos} == {WATCHDOG_COUNTS}


def test_an_adapter_that_stays_away_is_tried_again_and_never_raises(live):
    live.step()
    live.fault("unplug", seconds=600)
    live.until(lambda: live.station.motor_status.problems)
    stamp = live.station.read().hand.stamp[0]
    assert live.step(cycles=round(3 * REOPEN_PERIOD / 0.01)).hand.stamp[0] == stamp
    assert "there is no" in said(live)
    with pytest.raises(StationFault):
        live.station.reboot("FFJ10")
    with pytest.raises(StationFault):
        live.station.activate()
    live.station.deactivate()
    live.station.close()


def test_a_dead_host_stops_the_servos_and_a_returning_one_clears_them(live):
    live.until(lambda: np.abs(live.station.read().hand.q).max() < 0.01)
    time.sleep(WATCHDOG + 0.2)
    assert {live.get(i, "bus_watchdog") for i in (10, 21, 32)} in ({0xFF}, {-1})
    live.clock.now += WATCHDOG + 0.2
    live.step(q=0.1)
    assert {live.get(i, "bus_watchdog") for i in (10, 21, 32)} == {WATCHDOG_COUNTS}
    assert live.station.motor_status.counts["watchdogs_tripped"] == 9
    live.until(lambda: np.abs(live.station.read().hand.q - 0.1).max() < 0.01, q=0.1)


def test_random_faults_never_raise_nor_repeat_a_stamp(live):
    rng = np.random.default_rng(5)
    last = live.step()
    for _ in range(150):
        if rng.random() < 0.3:
            kind = rng.choice(["drop", "corrupt", "delay", "duplicate"])
            seconds = 0.02 if kind == "delay" else None
            live.fault(str(kind), id=int(rng.choice([10, 21, 50])), count=1, seconds=seconds)
        reading = live.step(q=rng.uniform(-0.4, 0.4))
        for group in ("hand", "fixture"):
            old, new = getattr(last, group), getattr(reading, group)
            assert new.stamp >= old.stamp
            assert new.stamp == live.clock.now or (new.q == old.q).all()
        last = reading
    live.fault("clear")
    live.until(lambda: not live.station.motor_status.problems)
