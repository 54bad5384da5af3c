import numpy as np
import pytest

from handlab_hardware.dynamixel.protocol import units
from handlab_hardware.dynamixel.protocol.models import MODELS
from handlab_hardware.dynamixel.protocol.registers import REGISTERS, TICKS_PER_TURN

RNG = np.random.default_rng(0)
ZERO, DIRECTION = RNG.uniform(-7, 7, 50), RNG.choice((-1, 1), 50)
TICKS = RNG.integers(-20_000, 20_000, 50)


def test_positions_invert():
    q = units.ticks_to_rad(TICKS, ZERO, DIRECTION)
    np.testing.assert_array_equal(units.rad_to_ticks(q, ZERO, DIRECTION), TICKS)


def test_a_turn_of_the_servo_is_a_turn_of_the_joint_in_its_direction():
    step = units.ticks_to_rad(TICKS + TICKS_PER_TURN, ZERO, DIRECTION) - units.ticks_to_rad(
        TICKS, ZERO, DIRECTION
    )
    np.testing.assert_allclose(step, 2 * np.pi * DIRECTION)


def test_the_zero_is_the_servo_angle_where_the_joint_is_at_zero():
    assert units.ticks_to_rad(2048, np.pi, 1) == 0.0
    assert units.rad_to_ticks(0.0, np.pi / 2, -1) == 1024
    assert units.rad_to_ticks(0.1, np.pi, -1) < 2048 < units.rad_to_ticks(0.1, np.pi, 1)


def test_a_velocity_count_is_0_229_rpm_in_the_joints_direction():
    qd = units.counts_to_velocity(TICKS, DIRECTION)
    np.testing.assert_array_equal(np.sign(qd), np.sign(TICKS) * DIRECTION)
    assert units.counts_to_velocity(100, 1) == pytest.approx(22.9 * 2 * np.pi / 60)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_torque_at_full_load_is_the_stall_torque(model):
    per_count = units.torque_per_count(model)
    full = (
        units.FULL_LOAD if model.current_unit is None else model.stall_current / model.current_unit
    )
    assert units.counts_to_torque(full, per_count, -1) == pytest.approx(-model.stall_torque)


def test_a_voltage_count_is_a_tenth_of_a_volt():
    assert units.counts_to_volts(120) == pytest.approx(12.0)


@pytest.mark.parametrize("register", REGISTERS.values(), ids=REGISTERS)
def test_bytes_invert_to_the_ends_of_every_register(register):
    bits = 8 * register.size
    ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if register.signed else (0, 2**bits - 1)
    for value in (*ends, 0, 1, -1 if register.signed else 1):
        assert units.from_bytes(units.to_bytes(value, register), register) == value
    for beyond in (ends[0] - 1, ends[1] + 1):
        with pytest.raises(OverflowError):
            units.to_bytes(beyond, register)


def test_bytes_go_low_first_and_two_complement():
    assert units.to_bytes(-2, REGISTERS["goal_position"]) == b"\xfe\xff\xff\xff"
    assert units.from_bytes(b"\x34\x12\xff", REGISTERS["model_number"]) == 0x1234
