"""Control table: factory values, registers by model and firmware, indirect addresses."""

import struct

import pytest

from handlab_hardware.dynamixel.emulator.firmware.packet import Code, Error
from handlab_hardware.dynamixel.emulator.firmware.servo import Servo
from handlab_hardware.dynamixel.protocol.models import MODELS
from handlab_hardware.dynamixel.protocol.registers import (
    REGISTERS,
)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_new_servo_has_the_models_factory_values(make_host, model):
    host, facts = make_host(ids=(1,), models=(model,)), MODELS[model]
    assert host.read(1, "model_number") == facts.number
    assert host.read(1, "velocity_limit") == facts.velocity_limit
    assert host.read(1, "position_p_gain") == facts.gains[2]
    assert host.read(1, "min_voltage_limit") == facts.voltage_limits[0]
    assert host.read(1, "shutdown") == facts.shutdown
    assert host.read(1, "present_position") == host.read(1, "goal_position") == 2048
    assert host.read(1, "present_input_voltage") == round(facts.nominal_voltage * 10)
    if facts.current_limit is not None:
        assert host.read(1, "current_limit") == facts.current_limit


@pytest.mark.parametrize(
    ("firmware", "model", "good", "bad"),
    [
        (38, "XM430-W210", [0, 1], [4, 5, 8, 9, 12, 13]),
        (41, "XM430-W210", [1], [4, 8]),
        (42, "XM430-W210", [1, 4, 5], [8, 12]),
        (44, "XL430-W250", [4], [8]),
        (45, "XM430-W210", [1, 4, 8, 13], [2, 16]),
        (45, "XL330-M288", [1, 4], [8]),
        (46, "XL330-M288", [1, 4, 8], [2]),
    ],
)
def test_old_firmware_knows_fewer_drive_modes(make_host, firmware, model, good, bad):
    host = make_host(ids=(1,), models=(model,), firmware=firmware)
    for value in good:
        assert host.write(1, "drive_mode", value) == Error.NONE
    kept = host.read(1, "drive_mode")
    for value in bad:
        assert host.write(1, "drive_mode", value) == Error.DATA_RANGE
    assert host.read(1, "drive_mode") == kept


@pytest.mark.parametrize(
    ("firmware", "model", "known"),
    [(38, "XM430-W210", False), (44, "XH430-V210", False), (45, "XM430-W210", True),
     (45, "XC330-T288", False), (46, "XC330-T288", True)],
)  # fmt: skip
def test_old_firmware_has_no_startup_configuration_and_no_backup(make_host, firmware, model, known):
    host = make_host(ids=(1,), models=(model,), firmware=firmware)
    expected = (Error.NONE, Error.NONE) if known else (Error.ACCESS, Error.INSTRUCTION)
    assert host.write(1, "startup_configuration", 1) == expected[0]
    assert host.error(1, Code.BACKUP, b"\x01CTRL") == expected[1]
    assert host.read(1, "startup_configuration") == host.read(1, "backup_ready") == int(known)
    host.error(1, Code.FACTORY_RESET, b"\x02")
    host.wait(1.0)
    assert host.write(1, "startup_configuration", 1) == expected[0]


def test_small_servos_have_a_shorter_table_with_fewer_indirect_registers(make_host):
    host = make_host(ids=(1,), models=("XL330-M288",))
    assert host.send(1, Code.READ, struct.pack("<HH", 227, 1))[0][1] == Error.NONE
    assert host.send(1, Code.READ, struct.pack("<HH", 228, 1))[0][1] == Error.ACCESS
    first = struct.pack("<HH", 168, REGISTERS["led"].address)
    assert host.error(1, Code.WRITE, first) == Error.NONE
    assert host.error(1, Code.WRITE, struct.pack("<HB", 208, 1)) == Error.NONE
    assert host.read(1, "led") == 1
    assert host.write(1, "velocity_limit", 2047) == Error.NONE
    assert host.write(1, "baud_rate", 7) == Error.DATA_RANGE


def test_a_model_without_current_has_no_current_registers(make_host):
    host = make_host(ids=(1,), models=("XL430-W250",))
    assert host.write(1, "goal_current", 5) == Error.ACCESS
    assert host.write(1, "operating_mode", 5) == Error.DATA_RANGE


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("led", 1, Error.NONE),
        ("led", 2, Error.DATA_RANGE),
        ("id", 253, Error.DATA_RANGE),
        ("baud_rate", 8, Error.DATA_RANGE),
        ("drive_mode", 2, Error.DATA_RANGE),
        ("operating_mode", 2, Error.DATA_RANGE),
        ("max_voltage_limit", 161, Error.DATA_RANGE),
        ("current_limit", 1194, Error.DATA_RANGE),
        ("homing_offset", -1_044_480, Error.DATA_RANGE),
        ("goal_position", 4096, Error.DATA_LIMIT),
        ("goal_position", -1, Error.DATA_LIMIT),
        ("goal_velocity", -331, Error.DATA_LIMIT),
        ("goal_current", 1194, Error.DATA_LIMIT),
        ("goal_pwm", -885, Error.NONE),
        ("goal_pwm", 886, Error.DATA_LIMIT),
        ("present_position", 0, Error.ACCESS),
        ("hardware_error_status", 0, Error.ACCESS),
    ],
)
def test_writes_are_refused_with_the_right_error(host, name, value, error):
    before = host.read(1, name)
    assert host.write(1, name, value) == error
    if error and name != "present_position":
        assert host.read(1, name) == before


@pytest.mark.parametrize(
    ("params", "error"),
    [
        (struct.pack("<HH", 116, 5), Error.DATA_LENGTH),  # half of a register of four bytes
        (struct.pack("<HB", 117, 0), Error.DATA_LENGTH),  # its second byte
        (struct.pack("<HB", 200, 0), Error.DATA_LENGTH),  # half of an indirect address
        (struct.pack("<HB", 160, 0), Error.ACCESS),  # nothing is there
        (struct.pack("<HB", 661, 0) + b"\0", Error.ACCESS),  # beyond the end
        (struct.pack("<H", 116), Error.DATA_LENGTH),  # nothing to write
        (struct.pack("<Hiii", 108, 0, 0, 9000), Error.DATA_LIMIT),  # the third of three
    ],
)
def test_a_write_of_something_else_than_whole_registers_is_refused(host, params, error):
    assert host.error(1, Code.WRITE, params) == error
    assert host.read(1, "goal_position") == 2048


def test_reads_of_nowhere_are_refused(host):
    assert host.error(1, Code.READ, struct.pack("<HH", 160, 2)) == Error.ACCESS
    assert host.error(1, Code.READ, struct.pack("<HH", 660, 3)) == Error.ACCESS
    assert host.error(1, Code.READ, b"\x84") == Error.DATA_LENGTH


def test_indirect_addresses_gather_registers_for_one_read_and_write(host):
    """Goal position and LED written through indirect data, present position read behind them."""
    targets = [*range(116, 120), 65, *range(132, 136)]
    params = struct.pack("<H", 168) + struct.pack("<9H", *targets)
    assert host.error(1, Code.WRITE, params) == Error.NONE
    goal = struct.pack("<HiB", 224, 1234, 1)
    assert host.error(1, Code.WRITE, goal) == Error.NONE
    assert (host.read(1, "goal_position"), host.read(1, "led")) == (1234, 1)
    [(_, _, data)] = host.send(1, Code.READ, struct.pack("<HH", 224, 9))
    assert struct.unpack("<iBi", data) == (1234, 1, 2048)
    assert host.error(1, Code.WRITE, struct.pack("<Hi", 229, 0)) == Error.ACCESS  # read only
    assert host.error(1, Code.WRITE, struct.pack("<HH", 168, 63)) == Error.DATA_RANGE


@pytest.mark.parametrize(("name", "slope"), [("XL330-M288", 140), ("XC330-T181", 255)])
def test_small_servos_have_a_pwm_slope_and_others_do_not(name, slope):
    """Address 62, 1 to 255; e-manual, control tables of the 330 series."""
    servo = Servo(MODELS[name], 1)
    assert servo.read(62, 1).params == bytes((slope,))
    assert servo.write(62, b"\x01").error == Error.NONE and servo.table.get("pwm_slope") == 1
    assert servo.write(62, b"\x00").error == Error.DATA_RANGE
    assert Servo(MODELS["XM430-W210"], 1).read(62, 1).error == Error.ACCESS
