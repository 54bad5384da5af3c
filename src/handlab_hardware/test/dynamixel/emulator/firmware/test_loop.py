"""How emulated servos move: profiles, controllers, directions, and a station's world."""

import numpy as np
import pytest

from handlab_hardware.dynamixel.emulator import Fault
from handlab_hardware.dynamixel.emulator.firmware.loop import (
    FOLLOWING,
    IN_POSITION,
    ONGOING,
    LoopConfig,
)
from handlab_hardware.dynamixel.emulator.firmware.packet import BROADCAST, Code, Error
from handlab_hardware.dynamixel.emulator.thermal import ThermalModel
from handlab_hardware.dynamixel.protocol.models import make_model
from handlab_hardware.dynamixel.protocol.registers import (
    RAD_S_PER_COUNT,
    HardwareError,
)

XM430 = make_model("XM430-W210")


POSITION_TOLERANCE = 12  # counts; Coulomb friction stops a P controller short of its goal


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


def test_a_model_without_current_shows_its_load(make_bench):
    bench = make_bench(models=("XL430-W250",))
    bench["torque_enable"] = 1
    bench.loop.physics.load = np.array([-10.0])
    bench.run(0.5)
    assert bench["present_current"] > 990  # of 1000


def test_a_servo_that_pushes_heats_until_it_is_too_hot(make_bench):
    """At 60 % of stall torque it would end at 104 degrees; the limit is 80."""
    bench = make_bench(loop=LoopConfig(thermal=ThermalModel(time_constant=0.5)))
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


def test_reverse_mode_turns_the_other_way(make_bench):
    plain, reverse = make_bench(), make_bench()
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


def test_the_tick_counts_milliseconds_and_starts_anew(make_bench):
    bench = make_bench()
    bench.run(0.2)
    assert bench["realtime_tick"] == 200
    bench.servos[0].booted_at = -32.768
    assert bench.record("realtime_tick", 0.1)[-1] == 300


def test_time_may_come_in_any_pieces(make_bench):
    once, often = make_bench(), make_bench()
    for bench in (once, often):
        bench["profile_velocity"], bench["profile_acceleration"] = 80, 20
        bench["torque_enable"] = 1
        bench["goal_position"] = 3000
    once.run(0.5)
    for _ in range(500):
        often.run(0.001)
    np.testing.assert_array_equal(once.loop.motion.position, often.loop.motion.position)


def test_a_brown_out_alerts_and_a_deep_one_reboots(host):
    host.write(1, "torque_enable", 1)
    host.bus.faults.inject(Fault("brown_out", id=1, volts=8.0, seconds=0.2))
    host.wait(0.1)
    assert host.read(1, "present_input_voltage") == 80
    assert host.read(1, "hardware_error_status") == HardwareError.INPUT_VOLTAGE
    assert host.read(1, "torque_enable") == 1
    host.bus.faults.inject(Fault("brown_out", volts=3.0, seconds=0.2))
    host.wait(0.1)
    assert host.send(BROADCAST, Code.PING) == []
    host.wait(0.6)
    assert len(host.send(BROADCAST, Code.PING)) == 3
    assert host.read(1, "torque_enable") == 0
    assert host.read(1, "hardware_error_status") == 0
    assert host.read(1, "present_input_voltage") == 120


def test_a_servo_that_pushes_too_long_is_overloaded(host):
    host.write(1, "torque_enable", 1)
    host.loop.physics.load = np.array([-10.0, 0.0, 0.0])  # more than it has
    host.wait(1.0)
    assert host.read(1, "hardware_error_status") == 0
    host.wait(2.0)
    assert host.read(1, "hardware_error_status") == HardwareError.OVERLOAD
    assert host.read(1, "torque_enable") == 0


def test_a_servo_that_gets_too_hot_shuts_down(host):
    host.write(1, "torque_enable", 1)
    host.bus.faults.inject(Fault("overheat", id=1))
    host.wait(0.05)
    assert host.read(1, "present_temperature") > 80
    assert host.read(1, "hardware_error_status") == HardwareError.OVERHEATING
    assert host.read(1, "torque_enable") == 0
    assert host.read(2, "present_temperature") == 25


def test_the_bus_watchdog_stops_a_servo_and_refuses_goals(host):
    host.write(1, "operating_mode", 1)
    host.write(1, "torque_enable", 1)
    host.write(1, "goal_velocity", 100)
    assert host.write(1, "bus_watchdog", 5) == Error.NONE
    for _ in range(10):
        host.wait(0.09)
        host.send(2, Code.PING)  # any packet on the bus will do
    assert host.read(1, "present_velocity") == pytest.approx(100, abs=2)
    host.wait(0.5)
    assert host.read(1, "bus_watchdog") == -1
    assert abs(host.read(1, "present_velocity")) < 5
    assert host.write(1, "goal_velocity", 100) == Error.DATA_RANGE
    assert host.write(1, "bus_watchdog", 5) == Error.DATA_RANGE
    assert host.write(1, "bus_watchdog", 0) == Error.NONE
    assert host.write(1, "goal_velocity", 100) == Error.NONE
    host.wait(0.5)
    assert host.read(1, "present_velocity") == pytest.approx(100, abs=2)


def test_the_bus_watchdog_sleeps_while_torque_is_off(host):
    host.write(1, "bus_watchdog", 5)
    host.wait(1.0)
    assert host.read(1, "bus_watchdog") == 5


def test_the_bus_watchdog_holds_a_moving_servo_where_it_is(host):
    host.write(1, "profile_velocity", 50)
    host.write(1, "torque_enable", 1)
    host.write(1, "bus_watchdog", 1)
    host.write(1, "goal_position", 4000)
    host.wait(1.0)
    position = host.read(1, "present_position")
    assert 2048 < position < 2300
    host.wait(1.0)
    assert host.read(1, "present_position") == pytest.approx(position, abs=2)
