"""Free servos of second order."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_hardware.dynamixel.emulator.physics import Goals, ServoPhysics
from handlab_hardware.dynamixel.protocol.models import MODELS
from handlab_hardware.dynamixel.protocol.registers import OperatingMode

MODEL = MODELS["XM430-W210"]


def goals(**values):
    one = np.ones(1)
    base = Goals(
        mode=np.array([int(OperatingMode.PWM)]), position=0 * one, velocity=0 * one,
        torque=0 * one, duty=one, max_torque=MODEL.stall_torque * one, max_duty=one,
        position_gains=np.zeros((3, 1)), velocity_gains=np.zeros((2, 1)), voltage=one,
    )  # fmt: skip
    return replace(base, **values)


def test_at_full_duty_a_servo_nears_its_no_load_speed_and_never_exceeds_it():
    physics = ServoPhysics([MODEL])
    speeds = [float(physics.advance(goals()).velocity[0]) for _ in range(3000)]
    assert max(speeds) <= MODEL.no_load_speed
    assert speeds[-1] == pytest.approx(MODEL.no_load_speed, rel=0.1)


def test_without_torque_a_servo_coasts_to_rest():
    physics = ServoPhysics([MODEL])
    for _ in range(500):
        physics.advance(goals())
    limp = goals(max_torque=np.zeros(1), duty=np.zeros(1))
    for _ in range(3000):
        motion = physics.advance(limp)
    assert motion.velocity[0] == 0.0 and motion.torque[0] == 0.0


def test_a_load_turns_a_limp_servo_and_a_placed_one_stays():
    physics = ServoPhysics([MODEL])
    physics.place(np.array([1.0]))
    limp = goals(max_torque=np.zeros(1), duty=np.zeros(1))
    assert physics.advance(limp).position[0] == 1.0
    physics.load[:] = 1.0
    for _ in range(100):
        motion = physics.advance(limp)
    assert motion.position[0] > 1.0 and motion.velocity[0] > 0.0
