"""What instructions do to servos, on the bus alone: no port, and time as the test wants it."""

import struct

import pytest

from handlab_hardware.dynamixel.emulator import Fault
from handlab_hardware.dynamixel.emulator.firmware.packet import BROADCAST, Code, Error
from handlab_hardware.dynamixel.protocol.registers import (
    BAUD_RATES,
    HardwareError,
)

ALERT = 0x80


def test_torque_locks_the_eeprom(host):
    assert host.write(1, "torque_enable", 1) == Error.NONE
    assert host.write(1, "return_delay_time", 0) == Error.ACCESS
    assert host.write(1, "led", 1) == Error.NONE
    assert host.write(1, "torque_enable", 0) == Error.NONE
    assert host.write(1, "return_delay_time", 0) == Error.NONE


@pytest.mark.parametrize(
    ("level", "answered"), [(0, "ping"), (1, "ping read"), (2, "ping read write")]
)
def test_the_status_return_level_decides_what_is_answered(host, level, answered):
    host.write(1, "status_return_level", level)
    host.send(1, Code.WRITE, struct.pack("<HB", 65, 1))
    got = {
        "ping": host.send(1, Code.PING),
        "read": host.send(1, Code.READ, struct.pack("<HH", 65, 1)),
        "write": host.send(1, Code.WRITE, struct.pack("<HB", 65, 1)),
    }
    assert " ".join(name for name, replies in got.items() if replies) == answered


def test_a_registered_write_waits_for_the_action(host):
    assert host.error(1, Code.REG_WRITE, struct.pack("<HB", 65, 1)) == Error.NONE
    assert (host.read(1, "led"), host.read(1, "registered_instruction")) == (0, 1)
    assert host.send(BROADCAST, Code.ACTION) == []
    assert (host.read(1, "led"), host.read(1, "registered_instruction")) == (1, 0)
    assert host.error(1, Code.REG_WRITE, struct.pack("<HB", 65, 2)) == Error.DATA_RANGE


def test_a_new_id_and_baud_hold_from_the_next_packet_on(host):
    assert host.write(1, "id", 9) == Error.NONE  # answered under the old one
    assert host.send(1, Code.PING) == []
    assert host.write(9, "baud_rate", BAUD_RATES[3_000_000]) == Error.NONE
    assert host.send(9, Code.PING) == []
    host.baud = 3_000_000
    assert [id for id, _, _ in host.send(BROADCAST, Code.PING)] == [9]


def test_the_secondary_id_is_obeyed_in_silence_and_not_in_the_eeprom(host):
    for id in (1, 2, 3):
        host.write(id, "secondary_id", 3)
    answers = host.send(3, Code.WRITE, struct.pack("<HB", 65, 1))
    assert [id for id, _, _ in answers] == [3]
    assert [host.read(id, "led") for id in (1, 2, 3)] == [1, 1, 1]
    host.send(3, Code.WRITE, struct.pack("<HB", 9, 7))
    assert [host.read(id, "return_delay_time") for id in (1, 2, 3)] == [250, 250, 7]


def test_a_reboot_keeps_the_eeprom_and_forgets_the_ram(host):
    host.write(1, "temperature_limit", 70)
    host.write(1, "led", 1)
    host.write(1, "torque_enable", 1)
    assert host.error(1, Code.REBOOT) == Error.NONE
    assert host.send(1, Code.PING) == []  # it is not there yet
    host.wait(0.5)
    assert host.read(1, "temperature_limit") == 70
    assert (host.read(1, "led"), host.read(1, "torque_enable")) == (0, 0)


@pytest.mark.parametrize(
    ("option", "id", "baud"), [(0xFF, 1, 57_600), (0x01, 7, 57_600), (0x02, 7, 1_000_000)]
)
def test_a_factory_reset_keeps_the_registers_of_its_level(make_host, option, id, baud):
    host = make_host(ids=(7,))
    host.write(7, "velocity_limit", 100)
    assert host.error(7, Code.FACTORY_RESET, bytes((option,))) == Error.NONE
    host.wait(0.5)
    host.baud = baud
    assert host.read(id, "velocity_limit") == 330


def test_no_factory_reset_of_everything_by_broadcast(host):
    host.write(2, "velocity_limit", 100)
    host.send(BROADCAST, Code.FACTORY_RESET, b"\xff")
    host.wait(0.5)
    assert host.read(2, "velocity_limit") == 100


def test_the_control_table_is_backed_up_and_restored(host):
    host.write(1, "velocity_limit", 123)
    host.write(1, "position_p_gain", 456)
    assert host.error(1, Code.BACKUP, b"\x02CTRL") == Error.RESULT_FAIL  # there is none yet
    assert host.error(1, Code.BACKUP, b"\x01CTRL") == Error.NONE
    assert host.read(1, "backup_ready") == 1
    host.write(1, "velocity_limit", 99)
    host.write(1, "torque_enable", 1)
    assert host.error(1, Code.BACKUP, b"\x02CTRL") == Error.RESULT_FAIL  # torque is on
    host.write(1, "torque_enable", 0)
    assert host.error(1, Code.BACKUP, b"\x02CTRL") == Error.NONE
    host.wait(0.5)
    assert (host.read(1, "velocity_limit"), host.read(1, "position_p_gain")) == (123, 456)


def test_the_startup_configuration_restores_the_ram_and_turns_torque_on(host):
    host.write(1, "position_p_gain", 456)
    assert host.error(1, Code.BACKUP, b"\x01CTRL") == Error.NONE
    host.write(1, "startup_configuration", 3)
    host.write(1, "position_p_gain", 1)
    host.send(1, Code.REBOOT)
    host.wait(0.5)
    assert (host.read(1, "position_p_gain"), host.read(1, "torque_enable")) == (456, 1)


def test_a_change_of_mode_resets_gains_profile_and_goals(host):
    host.write(1, "position_p_gain", 1)
    host.write(1, "profile_velocity", 10)
    host.write(1, "goal_current", 5)
    assert host.write(1, "operating_mode", 5) == Error.NONE
    assert host.read(1, "position_p_gain") == 800
    assert host.read(1, "profile_velocity") == 0
    assert host.read(1, "goal_current") == host.read(1, "current_limit") == 1193
    assert host.read(1, "goal_position") == 2048


def test_an_error_shuts_the_servo_down_until_it_reboots(host):
    host.write(1, "torque_enable", 1)
    host.bus.faults.inject(Fault("overload", id=1))
    host.wait(0.01)
    assert host.error(1, Code.PING) == ALERT
    assert host.read(1, "hardware_error_status") == HardwareError.OVERLOAD
    assert host.read(1, "torque_enable") == 0
    assert host.write(1, "torque_enable", 1) == ALERT | Error.RESULT_FAIL
    assert host.error(2, Code.PING) == 0
    host.send(1, Code.REBOOT)
    host.wait(0.5)
    assert host.read(1, "hardware_error_status") == 0
    assert host.write(1, "torque_enable", 1) == Error.NONE


def test_an_error_that_is_no_shutdown_only_alerts(host):
    host.write(1, "torque_enable", 1)
    host.bus.faults.inject(Fault("encoder", id=1))  # not among the factory's shutdown bits
    host.wait(0.01)
    assert host.error(1, Code.PING) == ALERT
    assert host.read(1, "torque_enable") == 1


def test_the_alert_is_in_each_part_of_a_fast_reply(host):
    host.bus.faults.inject(Fault("shock", id=2))
    host.wait(0.01)
    host.fast()
    assert [host.replies[0].data[8 + 14 * i] for i in range(3)] == [0, ALERT, 0]


def test_the_led_flickers_after_a_shutdown(host):
    servo = host.loop.servos[0]
    assert not servo.light(0.0)
    host.write(1, "led", 1)
    assert servo.light(0.0)
    servo.raise_error(HardwareError.OVERLOAD)
    assert servo.light(1.5) != servo.light(2.5)
