"""Conformance: two clients with protocol code of their own, neither ours nor the vendor's.

rustypot is written in Rust (Pollen Robotics); dynamixel-python, imported as dxl2, in Python.
"""

import time

import pytest
from dxl2.v2 import BulkParams, MotorBus, SyncParams
from rustypot import Xl430PyController

from handlab_hardware.dynamixel.emulator import EmulatorConfig, emulate
from handlab_hardware.dynamixel.emulator.firmware.packet import Error

IDS = [10, 11, 12]
GOAL, PRESENT, LED, TORQUE = 116, 132, 65, 64
BOOT = 0.4  # s


@pytest.fixture
def name():
    with emulate(EmulatorConfig(ids=tuple(IDS), models=("XL430-W250",))) as port:
        yield port.name


@pytest.fixture
def controller(name):
    controller = Xl430PyController(name, 1_000_000, 0.5)
    yield controller
    controller.close()


def test_rustypot_finds_the_servos(controller):
    assert controller.ping(10)
    assert not controller.ping(13)
    expected = dict.fromkeys(IDS, 1060)
    assert controller.scan([9, *IDS]) == expected
    assert controller.broadcast_scan() == expected


def test_rustypot_reads_and_writes(controller):
    controller.write_led(10, True)
    values = {
        name: controller.read_register(10, name)
        for name in ("led", "firmware_version", "present_temperature", "present_position")
    }
    assert values == {
        "led": 1, "firmware_version": 46, "present_temperature": 25, "present_position": 2048
    }  # fmt: skip


@pytest.mark.parametrize("fast", [False, True])
def test_rustypot_moves_all_servos(controller, fast):
    controller.set_fast_sync_read(fast)
    controller.sync_write_torque_enable(IDS, [True] * 3)
    goals = [2300, 2048, 1800]
    controller.sync_write_goal_position(IDS, goals)
    time.sleep(1.0)
    there = controller.sync_read_present_position(IDS)
    assert there == [pytest.approx(goal, abs=12) for goal in goals]
    assert controller.sync_read_present_velocity(IDS) == [0, 0, 0]


def test_rustypot_sees_a_refused_write(controller):
    assert controller.write_register_with_error(10, "torque_enable", 1) == Error.NONE
    assert controller.write_register_with_error(10, "return_delay_time", 0) == Error.ACCESS


def test_rustypot_reboots_and_resets(controller):
    controller.write_led(10, True)
    controller.reboot(10)
    time.sleep(BOOT)
    assert controller.read_register(10, "led") == 0


@pytest.fixture
def motors(name):
    bus = MotorBus(name, 1_000_000, timeout=0.1)
    bus.connect()
    yield bus
    bus.disconnect()


def test_dynamixel_python_finds_the_servos(motors):
    assert motors.ping(10).data == {"model_number": 1060, "firmware_version": 46}
    assert sorted(motors.broadcast_ping().data) == IDS


def test_dynamixel_python_reads_writes_and_registers(motors):
    assert motors.write(10, LED, 1, 1).ok
    assert motors.read(10, LED, 1).data == 1
    assert motors.write(10, LED, 1, 2).error == 4
    assert motors.reg_write(11, LED, 1, 1).ok
    assert motors.action(11).ok
    assert motors.read(11, LED, 1).data == 1


def test_dynamixel_python_moves_all_servos(motors):
    on, goals = SyncParams(TORQUE, 1), SyncParams(GOAL, 4)
    for i, id in enumerate(IDS):
        on.add_value(id, 1)
        goals.add_value(id, 2000 + 100 * i)
    motors.sync_write(on)
    motors.sync_write(goals)
    time.sleep(1.0)
    expected = [pytest.approx(2000 + 100 * i, abs=12) for i in range(3)]
    read, bulk = SyncParams(PRESENT, 4), BulkParams()
    for id in IDS:
        read.add_motor(id)
        bulk.add_address(id, PRESENT, 4)
    assert motors.sync_read(read).data == expected
    assert motors.bulk_read(bulk).data == expected


def test_dynamixel_python_backs_up_clears_resets_and_reboots(motors):
    assert motors.write(10, 44, 4, 77).ok
    assert motors.control_table_backup(10).ok
    assert motors.clear_position(10).ok
    assert motors.factory_reset_except_id_baudrate(10).ok
    time.sleep(BOOT)
    assert motors.read(10, 44, 4).data == 265
    assert motors.control_table_restore(10).ok
    time.sleep(BOOT)
    assert motors.read(10, 44, 4).data == 77
    assert motors.reboot(10).ok
