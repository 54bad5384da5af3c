"""How emulated servos move: profiles, controllers, directions, and a station's world."""

import struct

import numpy as np
import pytest

from handlab_core.errors import BadConfig
from handlab_core.types import JointState, Reading
from handlab_hardware.dynamixel.emulator import EmulatorConfig, make_bus
from handlab_hardware.dynamixel.emulator.backend_physics import BackendPhysics, ServoJoint
from handlab_hardware.dynamixel.emulator.firmware import profile
from handlab_hardware.dynamixel.emulator.firmware.loop import (
    FOLLOWING,
    IN_POSITION,
    ONGOING,
    LoopConfig,
)
from handlab_hardware.dynamixel.emulator.thermal import ThermalModel
from handlab_hardware.dynamixel.protocol.models import make_model
from handlab_hardware.dynamixel.protocol.registers import (
    RAD_PER_TICK,
    RAD_S_PER_COUNT,
    REGISTERS,
    HardwareError,
)

XM430 = make_model("XM430-W210")
POSITION_TOLERANCE = 12  # counts; Coulomb friction stops a P controller short of its goal


class Bench:
    """One servo, or a few, without a wire: registers by name, and time."""

    def __init__(self, ids=(1,), physics=None, **config):
        self.bus = make_bus(EmulatorConfig(ids=ids, **config), physics)
        self.servos, self.loop = self.bus.servos, self.bus.loop
        self.now = 0.0

    def __setitem__(self, name, value, servo=0):
        r = REGISTERS[name]
        data = int(value).to_bytes(r.size, "little", signed=value < 0)
        assert self.servos[servo].write(r.address, data).error == 0, name

    def __getitem__(self, name):
        self.loop.refresh()
        return self.servos[0].table.get(name)

    def run(self, seconds):
        self.now += seconds
        self.bus.advance(self.now)

    def record(self, name, seconds, step=0.01):
        values = []
        for _ in range(round(seconds / step)):
            self.run(step)
            values.append(self[name])
        return np.array(values)


@pytest.fixture
def bench():
    return Bench()


def test_a_servo_goes_to_its_goal_and_stays(bench):
    bench["torque_enable"] = 1
    bench["goal_position"] = 3000
    bench.run(1.0)
    assert bench["present_position"] == pytest.approx(3000, abs=POSITION_TOLERANCE)
    assert bench["present_velocity"] == 0
    assert bench["moving"] == 0
    assert bench["moving_status"] & IN_POSITION


def test_without_torque_a_servo_stays_and_its_goal_waits(bench):
    """Torque on then goes to the old goal; a driver has to set the present position before."""
    bench["goal_position"] = 3000
    bench.run(1.0)
    assert bench["present_position"] == 2048
    bench["torque_enable"] = 1
    bench.run(1.0)
    assert bench["present_position"] == pytest.approx(3000, abs=POSITION_TOLERANCE)


def test_no_servo_is_faster_than_without_load(bench):
    bench["torque_enable"] = 1
    bench["goal_position"] = 4095
    speed = bench.record("present_velocity", 0.5)
    assert speed.max() * RAD_S_PER_COUNT < XM430.no_load_speed
    assert speed.max() * RAD_S_PER_COUNT > 0.8 * XM430.no_load_speed


def test_a_profile_keeps_its_velocity_and_acceleration(bench):
    """1000 counts at 50 counts of speed, reached in about 0.6 s: a trapezoid."""
    bench["profile_velocity"], bench["profile_acceleration"] = 50, 5
    bench["torque_enable"] = 1
    bench["goal_position"] = 3048
    bench.run(0.01)
    assert bench["moving_status"] & ~FOLLOWING == 0x30 + ONGOING
    assert bench["moving"] == 1
    planned = bench.record("velocity_trajectory", 3.0)
    assert planned.max() == 50
    rising = np.flatnonzero(planned == 50)[0] * 0.01
    assert rising == pytest.approx(50 * RAD_S_PER_COUNT / (5 * 0.3745), abs=0.03)
    assert planned[-1] == 0
    assert bench["position_trajectory"] == 3048
    assert not bench["moving_status"] & ONGOING


@pytest.mark.parametrize(("acceleration", "goal", "kind"), [(0, 3000, 0x10), (1, 2200, 0x20)])
def test_the_moving_status_names_the_profile(bench, acceleration, goal, kind):
    bench["profile_velocity"], bench["profile_acceleration"] = 100, acceleration
    bench["torque_enable"] = 1
    bench["goal_position"] = goal
    bench.run(0.05)
    assert bench["moving_status"] & 0x30 == kind


def test_a_time_based_profile_takes_its_time(bench):
    bench["drive_mode"] = 4
    bench["profile_velocity"], bench["profile_acceleration"] = 1000, 200  # ms
    bench["torque_enable"] = 1
    bench["goal_position"] = 3000
    planned = bench.record("position_trajectory", 1.2)
    assert planned[94] < 3000  # after 0.95 s
    assert planned[101] == 3000


def test_profiles_arrive_within_their_limits():
    rng, n, dt = np.random.default_rng(0), 300, 2e-3
    goal, speed = rng.uniform(-3000, 3000, n), rng.uniform(-500, 500, n)
    top, acceleration = rng.uniform(100, 2000, n), rng.uniform(500, 50_000, n)
    position, most = np.zeros(n), np.maximum(top, np.abs(speed))
    arrived = np.zeros(n, dtype=bool)
    for _ in range(40_000):
        before = speed
        position, speed = profile.follow(position, speed, goal, top, acceleration, dt)
        arrived |= position == goal
        assert (position[arrived] == goal[arrived]).all()
        change = np.abs(speed - before)
        assert (arrived | (change <= acceleration * dt * (1 + 1e-9))).all()
        assert (np.abs(speed) <= most).all()
        if arrived.all():
            return
    raise AssertionError(f"{n - arrived.sum()} profiles never arrived")


def test_a_profile_of_no_speed_is_at_its_goal_at_once():
    position, speed = profile.follow(
        np.zeros(2), np.zeros(2), np.array([5.0, -7.0]), np.zeros(2), np.ones(2), 1e-3
    )
    np.testing.assert_array_equal(position, [5.0, -7.0])
    np.testing.assert_array_equal(speed, 0.0)


def test_velocity_mode_turns_and_ramps(bench):
    bench["operating_mode"] = 1
    bench["profile_acceleration"] = 10
    bench["torque_enable"] = 1
    bench["goal_velocity"] = -100
    bench.run(0.3)
    assert -100 < bench["velocity_trajectory"] < 0
    bench.run(2.0)
    assert bench["velocity_trajectory"] == -100
    assert bench["present_velocity"] == pytest.approx(-100, abs=3)


def test_current_mode_pushes_with_its_current(bench):
    bench["operating_mode"] = 0
    bench["goal_current"] = 200
    bench.loop.physics.load = np.array([-10.0])  # held by hand
    bench["torque_enable"] = 1
    bench.run(0.01)
    assert bench["present_current"] == pytest.approx(200, abs=2)


def test_current_based_position_mode_pushes_no_harder_than_its_goal_current(bench):
    bench["operating_mode"] = 5
    bench["goal_current"] = 100
    bench["torque_enable"] = 1
    bench["goal_position"] = 4000
    currents = bench.record("present_current", 0.5)
    assert currents.max() == 100
    bench.loop.physics.load = np.array([1.0])  # more than 100 counts can hold
    bench.run(1.0)
    assert bench["present_position"] > 4500


def test_pwm_mode_gives_a_part_of_the_voltage(bench):
    bench["operating_mode"] = 16
    bench["goal_pwm"] = 443
    bench["torque_enable"] = 1
    bench.run(1.0)
    half = XM430.no_load_speed / RAD_S_PER_COUNT / 2
    assert 0.85 * half < bench["present_velocity"] < half
    assert bench["present_pwm"] == 443


def test_a_model_without_current_shows_its_load():
    bench = Bench(models=("XL430-W250",))
    bench["torque_enable"] = 1
    bench.loop.physics.load = np.array([-10.0])
    bench.run(0.5)
    assert bench["present_current"] > 990  # of 1000


def test_a_servo_that_pushes_heats_until_it_is_too_hot():
    """At 60 % of stall torque it would end at 104 degrees; the limit is 80."""
    bench = Bench(loop=LoopConfig(thermal=ThermalModel(time_constant=0.5)))
    bench["operating_mode"] = 0
    bench["goal_current"] = 513
    bench.loop.physics.load = np.array([-3.0])
    bench["torque_enable"] = 1
    warming = bench.record("present_temperature", 0.5)
    assert (np.diff(warming) >= 0).all()
    assert 70 < warming[-1] <= 80
    assert bench["torque_enable"] == 1
    bench.run(0.5)
    assert bench["hardware_error_status"] == HardwareError.OVERHEATING
    assert bench["torque_enable"] == 0
    bench.run(3.0)
    assert bench["present_temperature"] == 25


def test_reverse_mode_turns_the_other_way():
    plain, reverse = Bench(), Bench()
    reverse["drive_mode"] = 1
    for bench in (plain, reverse):
        bench["torque_enable"] = 1
        bench["goal_position"] = 2500
        bench.run(1.0)
        assert bench["present_position"] == pytest.approx(2500, abs=POSITION_TOLERANCE)
    turned = [b.loop.motion.position[0] - np.pi for b in (plain, reverse)]
    assert turned[0] == pytest.approx(-turned[1], abs=1e-9)
    assert turned[0] > 0.6


@pytest.mark.parametrize("turns", [-3, -1, 0, 2])
def test_reverse_mode_also_turns_the_turns_that_were_forgotten(bench, turns):
    bench.loop.physics.place(np.array([np.pi / 2 + turns * 2 * np.pi]))
    bench.run(0.01)
    bench.servos[0].reboot(bench.now)
    bench.run(1.0)
    bench["operating_mode"] = 4
    assert bench["present_position"] == 1024
    bench["drive_mode"] = 1
    assert bench["present_position"] == 4096 - 1024
    bench["drive_mode"] = 0
    assert bench["present_position"] == 1024
    bench["drive_mode"] = 1
    bench["torque_enable"] = 1
    bench["goal_position"] = 4096 - 1024 + 300
    bench.run(1.0)
    horn = bench.loop.motion.position[0] - turns * 2 * np.pi
    assert horn == pytest.approx((1024 - 300) * 2 * np.pi / 4096, abs=0.02)


def test_the_homing_offset_is_added_to_the_position(bench):
    bench["homing_offset"] = -500
    assert bench["present_position"] == 1548
    bench["homing_offset"] = 1500  # beyond what position mode takes
    assert bench["present_position"] == 2048
    bench["operating_mode"] = 4
    assert bench["present_position"] == 3548


def test_turns_are_counted_until_they_are_cleared(bench):
    bench["operating_mode"] = 4
    bench["torque_enable"] = 1
    bench["goal_position"] = 10_000
    bench.run(0.5)
    clear = b"\x01\x44\x58\x4c\x22"
    bench.loop.refresh()
    assert bench.servos[0].clear(clear).error == 1  # it moves
    bench.run(2.0)
    position = bench["present_position"]
    assert position == pytest.approx(10_000, abs=POSITION_TOLERANCE)
    assert bench.servos[0].clear(clear).error == 0
    assert bench["present_position"] == position - 2 * 4096
    bench.run(0.5)
    assert bench["present_position"] == position - 2 * 4096


def test_power_on_forgets_the_turns(bench):
    bench.loop.physics.place(np.array([np.pi + 4 * np.pi]))
    bench["operating_mode"] = 4
    bench.run(0.1)
    assert bench["present_position"] == 2048 + 2 * 4096
    bench.servos[0].reboot(bench.now)
    assert bench["present_position"] == 2048


def test_a_goal_turns_torque_on_if_the_drive_mode_says_so(bench):
    bench["drive_mode"] = 8
    bench["goal_position"] = 2500
    assert bench["torque_enable"] == 1


def test_the_tick_counts_milliseconds_and_starts_anew():
    bench = Bench()
    bench.run(0.2)
    assert bench["realtime_tick"] == 200
    bench.servos[0].booted_at = -32.768
    assert bench.record("realtime_tick", 0.1)[-1] == 300


def test_time_may_come_in_any_pieces():
    once, often = Bench(), Bench()
    for bench in (once, often):
        bench["profile_velocity"], bench["profile_acceleration"] = 80, 20
        bench["torque_enable"] = 1
        bench["goal_position"] = 3000
    once.run(0.5)
    for _ in range(500):
        often.run(0.001)
    np.testing.assert_array_equal(once.loop.motion.position, often.loop.motion.position)


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


def station():
    backend = Frictionless()
    return backend, Bench((1, 2, 3), BackendPhysics(backend, JOINTS, [XM430] * 3))


def test_a_station_moves_the_joint_of_the_servo_its_own_way():
    backend, bench = station()
    assert bench["present_position"] == 1024
    bench["torque_enable"] = 1
    bench["goal_position"] = 1124
    bench.run(0.05)
    assert bench["present_position"] == 1124
    np.testing.assert_allclose(backend.q[0], [[0.0, -100 * RAD_PER_TICK]])
    assert {round(period * 1000) for _, _, period in backend.commands} == {10}
    assert len(backend.commands) == 5
    assert backend.commands[-1][1] is None  # the fixture is passive


def test_a_stations_effort_is_what_the_servo_may_push():
    backend, bench = station()
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


def test_a_station_has_no_torque_in_other_modes_and_says_so(caplog):
    backend, bench = station()
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
