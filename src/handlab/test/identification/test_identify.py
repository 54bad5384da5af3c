"""`identify` on a simulated hand: file, bag and page; and a hand that is blocked."""

import numpy as np
import pytest

from handlab.identification import identify as work
from handlab.identification.motion import Mover
from handlab_core.errors import StationFault
from handlab_core.hands import make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.worlds.excitation import excite
from handlab_core.worlds.fitted import read_fit, servos_of_fit
from handlab_sim.backend import MujocoBackend

HAND, VALVE = make_hand("claw"), FIXTURES.make("valve")


def test_a_simulated_claw_is_found_to_be_what_it_is(tmp_path):
    station = tmp_path / "claw.yaml"
    station.write_text("hand: claw\nfixture: valve\n")
    found = work.identify(str(station), "mujoco", seconds=6.0, folder=tmp_path / "out")
    assert found.file == tmp_path / "claw.mujoco.fitted.yaml"
    servos = servos_of_fit(read_fit(found.file), HAND)
    np.testing.assert_allclose(servos.stiffness, HAND.servos.stiffness, rtol=0.03)
    np.testing.assert_allclose(servos.armature, HAND.servos.armature, rtol=0.1)
    assert "measured and fitted motion" in found.page.read_text()
    assert (found.bag / "metadata.yaml").is_file()


def test_a_blocked_joint_ends_the_motion():
    backend = MujocoBackend(HAND, VALVE)
    backend._limit[0, 4] = 0.0  # the second joint of the middle finger is dead
    motion = excite(HAND, HAND.nominal, np.full(9, 0.3), 0, 5.0)
    backend.batch.bind("qpos")[0, backend._qpos_at[4]] = 0.5
    with pytest.raises(StationFault, match="MFJ21 is blocked"):
        Mover(HAND, VALVE, backend).run(HAND.nominal, motion)


def test_the_operator_ends_the_motion():
    motion = excite(HAND, HAND.nominal, np.full(9, 0.3), 0, 1.0)
    with pytest.raises(StationFault, match="operator"):
        Mover(HAND, VALVE, MujocoBackend(HAND, VALVE), lambda: True).run(HAND.nominal, motion)
