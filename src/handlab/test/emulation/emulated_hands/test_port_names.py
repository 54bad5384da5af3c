"""The name of an emulated port never costs a file of a real hand."""

import pytest

from handlab.emulation.emulated_hands import emulate_dynamixel
from handlab_core.errors import BadConfig
from handlab_hardware.station_file import station_path


@pytest.mark.parametrize("port", ["/", ".", "/dev/null"])
def test_a_name_that_cannot_be_a_port_is_refused_in_one_line(port):
    with pytest.raises(BadConfig) as refused:
        emulate_dynamixel(station_path("claw"), port)
    assert "\n" not in str(refused.value)


def test_the_calibration_of_a_real_hand_of_the_same_name_stays(tmp_path):
    real = tmp_path / "claw.calibration.yaml"
    real.write_text("zeros of the real hand")
    emulate_dynamixel(station_path("claw"), tmp_path / "claw").close()
    assert real.read_text() == "zeros of the real hand"
