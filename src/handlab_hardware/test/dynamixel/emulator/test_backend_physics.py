"""Backend behind emulated servos."""

import struct

import numpy as np
import pytest

from handlab_core.errors import BadConfig
from handlab_core.types import JointState, Reading
from handlab_hardware.dynamixel.emulator.backend_physics import BackendPhysics, ServoJoint
from handlab_hardware.dynamixel.protocol.models import make_model
from handlab_hardware.dynamixel.protocol.registers import (
    RAD_PER_TICK,
)

XM430 = make_model("XM430-W210")


class Frictionless:
    """Backend whose joints reach their targets at once while they have torque."""

    num_envs = 1

    def __init__(self):
        self.q = [np.zeros((1, 2)), np.zeros((1, 1))]
        self.commands = []

    def read(self):
        return Reading(
            *(JointState(np.zeros(1), q.copy(), np.zeros_like(q), np.zeros_like(q)) for q in self.q)
        )

    def step(self, hand, fixture, period, robots=None):
        self.commands.append((hand, fixture, period))
        for i, command in enumerate((hand, fixture)):
            if command is not None:
                self.q[i] = np.where(command.effort > 0, command.q, self.q[i])
        return self.read()


JOINTS = (
    ServoJoint(1, direction=-1, zero=np.pi / 2),
    ServoJoint(0),
    ServoJoint(0, fixture=True, direction=-1),
)


@pytest.fixture
def station(make_bench):
    backend = Frictionless()
    return backend, make_bench((1, 2, 3), BackendPhysics(backend, JOINTS, [XM430] * 3))


def test_a_station_moves_the_joint_of_the_servo_its_own_way(station):
    backend, bench = station
    assert bench["present_position"] == 1024
    bench["torque_enable"] = 1
    bench["goal_position"] = 1124
    bench.run(0.05)
    assert bench["present_position"] == 1124
    np.testing.assert_allclose(backend.q[0], [[0.0, -100 * RAD_PER_TICK]])
    assert {round(period * 1000) for _, _, period in backend.commands} == {10}
    assert len(backend.commands) == 5
    assert backend.commands[-1][1] is None  # the fixture is passive


def test_a_stations_effort_is_what_the_servo_may_push(station):
    backend, bench = station
    bench.run(0.01)
    np.testing.assert_array_equal(backend.commands[-1][0].effort, 0.0)
    bench["operating_mode"] = 5
    bench["goal_current"] = 100
    bench["torque_enable"] = 1
    bench.servos[2].write(64, struct.pack("<B", 1))
    bench.run(0.01)
    hand, fixture, _ = backend.commands[-1]
    expected = 100 * XM430.current_unit * XM430.stall_torque / XM430.stall_current
    np.testing.assert_allclose(hand.effort, [[0.0, expected]])
    np.testing.assert_allclose(fixture.effort, [[XM430.stall_torque]])


def test_a_station_has_no_torque_in_other_modes_and_says_so(station, caplog):
    backend, bench = station
    bench["operating_mode"] = 16
    bench["torque_enable"] = 1
    bench.run(0.05)
    np.testing.assert_array_equal(backend.commands[-1][0].effort, 0.0)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "joints", [JOINTS[:2], (*JOINTS[:2], JOINTS[1]), (*JOINTS[:2], ServoJoint(7))]
)
def test_servos_of_joints_that_cannot_be_are_refused(joints):
    with pytest.raises(BadConfig):
        BackendPhysics(Frictionless(), joints, [XM430] * 3)
