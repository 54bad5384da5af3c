"""The state of every servo is read without changing one, and each problem names its remedy."""

import time
from dataclasses import replace

import numpy as np
import pytest

from handlab_core.errors import StationFault
from handlab_hardware.dynamixel.emulator import EmulatorConfig, Fault, emulate
from handlab_hardware.dynamixel.inspection import read_servos
from handlab_hardware.station_file import load_station, station_path

SECTION = load_station(station_path("claw")).dynamixel
IDS = tuple(servo.id for servo in SECTION.servos)


@pytest.fixture
def claw(tmp_path):
    models = ["XM430-W210"] * 8 + ["XL430-W250", "XM430-W210"]
    config = EmulatorConfig(ids=IDS, models=tuple(models), link=tmp_path / "claw")
    with emulate(config) as port:
        yield port, replace(SECTION, port=port.name)


def read(section):
    return {state.joint: state for state in read_servos(section)}


def test_a_healthy_servo_is_read_in_units_of_its_joint(claw):
    _, section = claw
    state = read(section)["FFJ10"]
    assert (state.id, state.model, state.torque, state.problem) == (10, "XM430-W210", False, "")
    # The emulated servo stands at half a turn, and the zero of the joint is at a quarter.
    assert state.position == pytest.approx(np.pi / 2, abs=0.01)
    assert state.temperature > 10.0 and state.voltage == pytest.approx(12.0, abs=0.5)


def test_every_problem_is_named_and_the_other_servos_are_read(claw):
    port, section = claw
    for fault in (
        Fault("dead", id=11),
        Fault("overload", id=12),
        Fault("overheat", id=20, celsius=77),
    ):
        port.inject(fault)
    time.sleep(0.1)
    states = read(section)
    problems = {joint: state.problem for joint, state in states.items() if state.problem}
    assert set(problems) == {"FFJ11", "FFJ12", "MFJ20", "THJ32"}
    assert "cable" in problems["FFJ11"] and np.isnan(states["FFJ11"].position)
    assert "overload" in problems["FFJ12"] and "reboot FFJ12" in problems["FFJ12"]
    assert "hot, 77 of 80" in problems["MFJ20"]
    assert "XL430-W250" in problems["THJ32"] and "station file" in problems["THJ32"]


def test_reading_writes_nothing(claw):
    port, section = claw
    before = [bytes(servo.table.memory) for servo in port.bus.servos]
    watched = slice(0, 120)  # setup, torque, goals and watchdog; the rest is measured
    read(section)
    after = [bytes(servo.table.memory) for servo in port.bus.servos]
    assert [table[watched] for table in after] == [table[watched] for table in before]


def test_a_port_that_is_not_there_is_an_error_and_no_table(claw):
    _, section = claw
    with pytest.raises(StationFault, match="plug the adapter in"):
        read_servos(replace(section, port="/dev/ttyUSB99"))
