"""The failure ladder, rung by rung, against the emulator."""

import time
from dataclasses import replace

import numpy as np
import pytest

from handlab_core.errors import BadConfig, StationFault, UnknownName
from handlab_core.types import Command
from handlab_hardware.dynamixel.failures import (
    HEALTH_PERIOD,
    PROBE_PERIOD,
    REOPEN_PERIOD,
    SILENT_CYCLES,
    WATCHDOG,
    WATCHDOG_COUNTS,
    ServoRefused,
)
from handlab_hardware.dynamixel.protocol.registers import RAD_PER_TICK
from handlab_hardware.dynamixel.servos import Servos

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


def said(rig):
    return " ".join(rig.station.motor_status.problems)


# Opening


def test_opening_sets_every_servo_up_and_moves_nothing(make_rig):
    rig = make_rig()
    rig.put(11, "operating_mode", 5)
    station = rig.open()
    for servo in rig.port.bus.servos:
        get = servo.table.get
        assert get("return_delay_time") == 0 and get("status_return_level") == 2
        assert get("bus_watchdog") == WATCHDOG_COUNTS and not get("torque_enable")
        assert get("operating_mode") == (4 if servo.id == 50 else 3), (
            "the valve turns more than once"
        )
    assert not station.motor_status.problems and not station.motor_status.hand.torque.any()
    assert np.isfinite(station.read().hand.q).all() and np.isfinite(station.read().fixture.q).all()
    np.testing.assert_allclose(station.motor_status.hand.temperature, 25, atol=2)
    np.testing.assert_allclose(station.motor_status.hand.voltage, 12, atol=0.5)


def test_the_first_reading_is_as_old_as_its_stamp_says(make_rig, monkeypatch):
    rig, examine = make_rig(), Servos.examine_all

    def examine_slowly(servos, bus):
        rig.clock.now += 1.0
        examine(servos, bus)

    monkeypatch.setattr(Servos, "examine_all", examine_slowly)
    assert rig.open().read().hand.stamp[0] == 1000.0


def test_every_missing_and_every_wrong_servo_is_named_at_once(make_rig):
    rig = make_rig(
        ids=(11, 12, 20, 22, 30, 31, 32, 50), models=("XM430-W210",) * 7 + ("XH430-W210",)
    )
    rig.put(22, "drive_mode", 1)
    rig.put(31, "min_position_limit", 2000)
    with pytest.raises(StationFault) as error:
        rig.open()
    for word in ("10 (FFJ10) does not", "21 (MFJ21) does not", "50 (valve) is of model", "1010"):
        assert word in str(error.value)
    assert "22 (MFJ22): its drive mode" in str(error.value)
    assert "31 (THJ31): its position limits 2000" in str(error.value)


@pytest.mark.parametrize(
    ("register", "value", "said"),
    [
        ("drive_mode", 1, "drive mode is 1.*write 0"),
        ("drive_mode", 4, "drive mode is 4.*write 0"),
        ("homing_offset", 1024, "homing offset is 1024, with which positions are shifted; write 0"),
        ("homing_offset", -1, "homing offset is -1"),
        ("startup_configuration", 1, "startup configuration is 1.*write 0"),
        ("secondary_id", 11, "secondary id 11 is another servo's id; write 255"),
        ("temperature_limit", 100, "temperature limit is 100; write 80"),
        ("max_position_limit", 2500, "position limits 0 to 2500 leave out.*write 0 and 4095"),
    ],
)
def test_settings_that_give_positions_or_limits_another_meaning_are_refused(
    make_rig, register, value, said
):
    rig = make_rig()
    rig.put(21, register, value)
    with pytest.raises(StationFault, match=rf"servo 21 \(MFJ21\): its {said}"):
        rig.open()
    assert torque(rig) == set()


def test_without_current_a_current_based_servo_is_refused(make_rig):
    rig = make_rig(mode="current_based_position")
    rig.put(21, "current_limit", 0)
    with pytest.raises(StationFault, match=r"servo 21.*current limit is 0; write 1193"):
        rig.open()


def test_what_another_program_left_in_the_ram_does_not_slow_the_hand_down(make_rig):
    rig = make_rig()
    for register, value in (("profile_velocity", 5), ("profile_acceleration", 1), ("goal_pwm", 99)):
        rig.put(10, register, value)
    rig.open()
    assert rig.get(10, "profile_velocity") == rig.get(10, "profile_acceleration") == 0
    assert rig.get(10, "goal_pwm") == rig.get(10, "pwm_limit")


def test_a_servo_that_is_weakened_or_less_protected_is_noted(make_rig):
    rig = make_rig()
    rig.put(10, "pwm_limit", 400)
    rig.put(11, "shutdown", 0)
    notes = " ".join(rig.open().motor_status.notes)
    assert "servo 10 (FFJ10) is weakened: its PWM limit is 400 of 885" in notes
    assert "servo 11 (FFJ11) does not shut down on overheating, electrical shock" in notes


def test_a_lower_temperature_limit_is_heeded(make_rig):
    rig = make_rig()
    rig.put(12, "temperature_limit", 60)
    rig.open().activate()
    rig.step(cycles=2)
    rig.port.bus.loop.temperature[2] = 50  # 15 K below 80 it would be cool
    rig.until(lambda: rig.station.motor_status.hand.pause)


def test_nobody_at_all_hints_at_power_and_baud(make_rig):
    with pytest.raises(StationFault, match="check the power, and the baud"):
        make_rig(ids=(1,)).open()


def test_after_a_failure_the_port_is_free(make_rig):
    rig = make_rig()
    rig.put(22, "drive_mode", 1)
    for _ in range(2):
        with pytest.raises(StationFault, match="drive mode"):
            rig.open()
    rig.put(22, "drive_mode", 0)
    rig.open()


def test_a_servo_that_answers_only_pings_is_set_to_answer_all_instructions(make_rig):
    rig = make_rig()
    rig.put(20, "status_return_level", 0)
    rig.put(21, "status_return_level", 1)
    rig.open()
    assert rig.get(20, "status_return_level") == rig.get(21, "status_return_level") == 2


def test_old_firmware_is_read_with_plain_sync_reads(make_rig):
    rig = make_rig(firmware=44)
    station = rig.open()
    station.activate()
    stamp = rig.step().hand.stamp[0]
    assert rig.step().hand.stamp[0] > stamp
    assert "plain sync reads" in " ".join(station.motor_status.notes)
    assert station.motor_status.counts["retries"] == 0


def test_a_station_file_for_something_else_is_refused(make_rig):
    rig = make_rig()
    rig.file = replace(rig.file, hand="allegro")
    with pytest.raises(BadConfig, match="allegro"):
        rig.open()
    rig.file = replace(rig.file, hand="claw", dynamixel=None)
    with pytest.raises(BadConfig, match="no section"):
        rig.open()


@pytest.mark.parametrize("only", ["hand", "fixture"])
def test_a_group_without_servos_reads_nothing_and_its_stamp_stands(make_rig, only):
    rig = make_rig()
    section = rig.file.dynamixel
    kept = tuple(s for s in section.servos if (s.joint == "valve") == (only == "fixture"))
    rig.file = replace(rig.file, dynamixel=replace(section, servos=kept))
    station = rig.open()
    station.activate()
    before, after = station.read(), rig.step(fixture=PULL, cycles=2)
    other = "fixture" if only == "hand" else "hand"
    assert getattr(after, only).stamp > getattr(before, only).stamp
    assert np.isfinite(getattr(after, only).q).all()
    assert getattr(after, other).stamp == getattr(before, other).stamp
    assert np.isnan(getattr(after, other).q).all()
    assert getattr(after, other).q.shape == ((1, 1) if only == "hand" else (1, 9))
    assert np.isnan(getattr(station.motor_status, other).temperature).all()


# Moving


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


def test_the_valve_turns_more_than_once(live):
    turn = Command(np.array([[-2 * np.pi]]), np.array([[3.0]]))
    live.until(lambda: live.station.read().fixture.q[0, 0] < -6.2, fixture=turn)


def test_torque_is_written_only_when_it_changes(live):
    live.step(cycles=3)
    before = sent(live)
    live.station._servos._next_health = np.inf
    live.step(cycles=5)
    assert sent(live) - before == 5 * CYCLE, "a goal and a read in each cycle"


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


def test_wrong_commands_raise(live):
    with pytest.raises(ValueError, match="shape"):
        live.station.step(Command(np.zeros((1, 8)), np.ones((1, 8))), None, 0.01)
    with pytest.raises(ValueError, match="finite"):
        live.station.step(Command(np.full((1, 9), np.nan), np.ones((1, 9))), None, 0.01)
    live.station.step(Command(np.full((1, 9), np.nan), np.zeros((1, 9))), None, 0.01)


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


# Health


def test_every_servo_is_asked_once_in_a_period(live):
    live.step(cycles=2)
    for servo in live.port.bus.servos:
        live.port.bus.loop.temperature[live.port.bus.servos.index(servo)] = 40 + servo.id / 10
    cycles = round(HEALTH_PERIOD / 0.01)
    before = sent(live)
    live.step(cycles=cycles)
    assert sent(live) - before == cycles * CYCLE + 10 * READ
    expected = [40 + int(j[3:]) / 10 for j in live.hand.joints]
    np.testing.assert_allclose(live.station.motor_status.hand.temperature, expected, atol=1.5)


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


# The ladder


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
    for _ in range(SILENT_CYCLES):
        assert not live.station.motor_status.problems
        reading = live.step(q=0.4)
        assert reading.hand.stamp == fresh.hand.stamp, "stale data is never given as new"
        np.testing.assert_array_equal(reading.hand.q, fresh.hand.q)
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
    live.until(lambda: not live.station.motor_status.problems, cycles=3 * period)
    assert torque(live) == before and len(before) == 9
    assert sent(live) - writes < 3 * period * CYCLE, "no servo is set up again"
    live.step()
    assert live.station.read().hand.stamp[0] == live.clock.now


def test_a_release_reaches_a_hand_that_holds(live):
    live.step()
    live.fault("dead", id=21)
    live.step(cycles=SILENT_CYCLES)
    live.step(effort=0.0)
    assert torque(live) <= {21}


@pytest.mark.parametrize(
    ("fault", "name"), [("overload", "overload"), ("encoder", "motor encoder"), ("shock", "shock")]
)
def test_a_hardware_error_is_named_at_once(live, fault, name):
    live.step()
    live.fault(fault, id=12)
    live.until(lambda: live.station.motor_status.problems, cycles=3)
    assert f"servo 12 (FFJ12): {name}" in said(live) or name in said(live)
    assert live.station.motor_status.hand.hardware_error[2] != 0
    assert live.station.read().hand.stamp[0] == live.clock.now, "its data is still good"


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
    deadline = time.monotonic() + 5
    while live.station.motor_status.problems and time.monotonic() < deadline:
        live.step()
        time.sleep(0.005)
    live.step(cycles=2)
    assert not live.station.motor_status.problems
    assert torque(live) == {10, 11, 12, 20, 21, 22, 30, 31, 32}
    assert live.get(12, "bus_watchdog") == WATCHDOG_COUNTS
    assert live.get(12, "return_delay_time") == 0
    assert live.station.motor_status.hand.hardware_error == (0,) * 9


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
    live.until(lambda: live.station.motor_status.problems)
    assert "is gone: plug it in" in said(live)
    assert (
        live.station.motor_status.hand.silent.all()
        and not live.station.motor_status.hand.torque.any()
    )
    assert live.station.read().hand.stamp[0] < live.clock.now
    assert live.station.read().hand.stamp[0] >= last.hand.stamp[0]
    time.sleep(0.5)
    live.step(q=0.2, cycles=round(REOPEN_PERIOD / 0.01) + 1)
    assert not live.station.motor_status.problems
    assert live.station.motor_status.counts["reopened"] == 1
    assert live.station.read().hand.stamp[0] == live.clock.now
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


def test_after_a_brown_out_every_servo_is_armed_again(live):
    live.until(lambda: np.abs(live.station.read().hand.q).max() < 0.01)
    live.fault("brown_out", seconds=0.05, volts=3.0)
    time.sleep(0.1)
    deadline = time.monotonic() + 10
    while live.station.motor_status.counts.get("servos_restarted", 0) < 1:
        live.step()
        time.sleep(0.005)
        assert time.monotonic() < deadline
    assert "silent" in said(live) or live.station.motor_status.counts["stale_cycles"]
    live.until(lambda: np.abs(live.station.read().hand.q - 0.1).max() < 0.01, q=0.1)
    servos = live.port.bus.servos  # the fixture's is armed in its turn, after the hand moves
    live.until(lambda: {s.table.get("bus_watchdog") for s in servos} == {WATCHDOG_COUNTS}, q=0.1)
    assert len(torque(live)) == 9 and not live.station.motor_status.problems


def test_low_voltage_is_named_and_does_not_stop_the_hand(live):
    live.step()
    live.fault("brown_out", seconds=600, volts=9.0)
    live.until(lambda: "input voltage" in said(live))
    assert live.station.read().hand.stamp[0] == live.clock.now
    assert 10 in torque(live)


def test_a_refusal_is_reported(live, monkeypatch):
    live.step(effort=0.0)
    bus = live.station._bus
    write = bus.write

    def refuse(servo, register, value, **options):
        if (servo, register, value) == (20, "torque_enable", 1):
            raise ServoRefused("servo 20 would not")
        write(servo, register, value, **options)

    monkeypatch.setattr(bus, "write", refuse)
    live.step()
    assert "servo 20 would not" in said(live) and live.station.motor_status.counts["refusals"] == 1
    monkeypatch.undo()
    live.step()
    assert not said(live)


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
