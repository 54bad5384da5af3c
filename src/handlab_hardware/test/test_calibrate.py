import os
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from handlab_core.errors import BadConfig, StationFault
from handlab_core.system.paths import share
from handlab_hardware.calibrate import FAR, calibrate, measure_zeros, write_calibration
from handlab_hardware.station_file import load_station, station_path


@pytest.fixture
def held(make_rig, tmp_path):
    """A rig in its zero pose, but for a small error of each servo; and those errors [rad]."""
    rig = make_rig()
    path = tmp_path / "claw.yaml"
    text = station_path("claw").read_text().replace("/dev/ttyUSB0", rig.port.name)
    path.write_text(text)
    rig.file = load_station(path)
    rig.open().activate()
    errors = np.linspace(-0.1, 0.1, 9)
    rig.until(lambda: np.abs(rig.station.read().hand.q - errors).max() < 0.02, q=errors)
    held = rig.step(q=errors).hand.q[0]
    rig.station.close()
    return rig, load_station(path, nominal=True), held


def test_the_zeros_are_where_the_joints_are_held(held):
    rig, station, errors = held
    path = calibrate(station)
    section = load_station(station.path).dynamixel
    assert path == section.calibration and section.calibrated
    off = [a.zero - b.zero for a, b in zip(section.servos, station.dynamixel.servos, strict=True)]
    np.testing.assert_allclose(off[:9], errors, atol=0.01)
    rig.file = load_station(station.path)
    np.testing.assert_allclose(rig.open().read().hand.q, 0.0, atol=0.005)
    assert not any("calibrated" in note for note in rig.station.motor_status.notes)


def test_it_is_written_once(held):
    _, station, _ = held
    path = calibrate(station)
    before = path.read_text()
    with pytest.raises(BadConfig, match="exists"):
        calibrate(station)
    with pytest.raises(BadConfig, match="exists"):
        write_calibration(path, {})
    assert path.read_text() == before
    assert calibrate(station, overwrite=True) == path
    assert [p.name for p in path.parent.glob("*calibration*")] == [path.name], "no scratch is left"


def test_silent_servos_and_far_ones_are_named_and_nothing_is_written(held):
    rig, station, _ = held
    rig.fault("dead", id=21)
    servos = list(station.dynamixel.servos)
    servos[0] = replace(servos[0], zero=servos[0].zero + 2 * FAR)
    far = replace(station, dynamixel=replace(station.dynamixel, servos=tuple(servos)))
    with pytest.raises(StationFault) as error:
        calibrate(far)
    assert "servo 21 (MFJ21) does not answer" in str(error.value)
    assert "servo 10 (FFJ10) is -4" in str(error.value)
    rig.fault("clear")
    with pytest.raises(StationFault, match="FFJ10"):
        calibrate(far)
    assert not station.dynamixel.calibration.exists()
    assert calibrate(far, allow_far=True).exists()


def test_a_turn_more_is_not_far(held):
    _, station, _ = held
    servos = tuple(replace(s, zero=s.zero - 2 * np.pi) for s in station.dynamixel.servos)
    zeros = measure_zeros(replace(station.dynamixel, servos=servos))
    assert all(0 <= zero < 2 * np.pi for zero in zeros.values())


def test_it_needs_a_file_to_write_and_nominal_zeros(held):
    _, station, _ = held
    with pytest.raises(BadConfig, match="calibration"):
        calibrate(replace(station, dynamixel=replace(station.dynamixel, calibration=None)))
    calibrate(station)
    with pytest.raises(BadConfig, match="nominal"):
        calibrate(load_station(station.path), overwrite=True)


def test_an_emulated_hand_neither_reads_nor_writes_the_calibration_of_the_real_one(held):
    _, station, _ = held
    real = station.path.parent / "claw.calibration.yaml"
    wrong = {servo.joint: servo.zero + 1.0 for servo in station.dynamixel.servos}
    write_calibration(real, wrong)
    before = real.read_text()
    emulated = load_station(station.path).dynamixel
    assert not emulated.calibrated and emulated.servos == station.dynamixel.servos
    own = calibrate(station)
    assert own != real and real.read_text() == before
    assert load_station(station.path).dynamixel.calibrated
    adapter = load_station(station.path, port="/dev/ttyUSB7").dynamixel
    assert adapter.calibration == real and adapter.servos[0].zero == pytest.approx(wrong["FFJ10"])


def test_without_a_name_of_its_own_an_emulated_hand_cannot_be_calibrated(held):
    rig, station, _ = held
    nameless = load_station(station.path, nominal=True, port=os.path.realpath(rig.port.name))
    with pytest.raises(BadConfig, match="beside the link"):
        calibrate(nameless)


def test_calibrations_are_facts_of_one_machine_and_not_of_the_repository():
    done = subprocess.run(
        ["git", "check-ignore", "config/hands/claw.calibration.yaml"], cwd=share(), check=False
    )
    assert done.returncode in (0, 128)  # 128: this is no working copy
