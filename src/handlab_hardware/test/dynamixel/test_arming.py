"""Checks and setup of servos at opening."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.errors import StationFault
from handlab_hardware.dynamixel.failures import WATCHDOG_COUNTS
from handlab_hardware.station_file import Gains


def torque(rig):
    """Who has torque, by the servos themselves."""
    return {servo.id for servo in rig.port.bus.servos if servo.table.get("torque_enable")}


def said(rig):
    return " ".join(rig.station.motor_status.problems)


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


@pytest.mark.parametrize(
    ("register", "value"),
    [
        ("profile_velocity", 5), ("profile_acceleration", 1), ("goal_pwm", 99),
        ("position_p_gain", 16), ("position_p_gain", 16383), ("position_d_gain", 16383),
        ("position_i_gain", 1000), ("feedforward_1st_gain", 1000), ("feedforward_2nd_gain", 1000),
    ],
)  # fmt: skip
def test_what_another_program_left_in_the_ram_does_not_change_how_a_hand_moves(
    make_rig, register, value
):
    rig = make_rig()
    fresh = rig.get(11, register)
    rig.put(10, register, value)
    rig.open()
    assert rig.get(10, register) == rig.get(11, register) == fresh


def test_a_station_may_give_its_servos_other_gains(make_rig):
    rig = make_rig()
    servos = rig.file.dynamixel.servos
    stiff = replace(servos[0], own_gains=Gains(900, 30, 70))
    section = replace(rig.file.dynamixel, servos=(stiff, *servos[1:]))
    rig.file = replace(rig.file, dynamixel=section)
    rig.open()
    names = "position_p_gain", "position_i_gain", "position_d_gain"
    assert [rig.get(10, name) for name in names] == [900, 30, 70]
    rig.station.reboot("FFJ10")
    rig.until(lambda: rig.get(10, "position_p_gain") == 900)
    assert [rig.get(11, name) for name in names] == [800, 0, 0]


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
    before = station.motor_status.counts["retries"]
    rig.step(cycles=20)
    # Each fast read would be repeated; on a slow machine an answer is late now and then.
    assert station.motor_status.counts["retries"] - before < 10
