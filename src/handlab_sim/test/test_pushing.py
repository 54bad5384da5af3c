"""Compliance of the foam valve's lobes."""

import mujoco
import numpy as np
import pytest

from handlab_core.objects.fixture import FIXTURES, FOAM_LOBE
from handlab_sim import pushing

HUB = 0.02  # m, where the foam begins


@pytest.mark.parametrize("reach", [0.06, 0.073, 0.094])
def test_a_lobe_bends_as_a_beam_of_its_foam(foam, reach):
    forces = np.array([0.2, 1.0])
    expected = forces * FOAM_LOBE.compliance(reach - HUB)
    np.testing.assert_allclose(pushing.bend(foam, forces, reach), expected, rtol=0.2)


def test_the_foams_lobe_is_the_urdfs(compiled, hand, foam):
    """The beam that the springs are made from has the lobe's radius and free length."""
    model = compiled(hand, foam)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    lobe = model.geom("lobe_0_capsule")
    end = data.geom("lobe_0_capsule").xpos[0] + lobe.size[1] + lobe.size[0]
    assert lobe.size[0] == pytest.approx(FOAM_LOBE.radius)
    assert end - HUB == pytest.approx(FOAM_LOBE.length, abs=1e-6)


def test_foam_gives_to_a_finger_and_the_rigid_valve_does_not(foam):
    [soft], [hard] = (pushing.press(v, [2.0], 0.073) for v in (foam, FIXTURES.make("valve")))
    assert hard < 0.0005 < 0.005 < soft < 0.02


def test_a_dent_in_foam_is_as_deep_as_hertz_says(foam):
    """Crossed cylinders of 11 and 21 mm: F = 4/3 E' sqrt(R) d^1.5, R their geometric mean; +-60 %.

    The contact of a simulation is linear at best, so it can only be about right over a range.
    """
    model = pushing.press(foam, [1.0], 0.073) - pushing.bend(foam, [1.0], 0.073)
    stiff = FOAM_LOBE.modulus / (1 - FOAM_LOBE.poisson**2)
    hertz = (1.0 / (4 / 3 * stiff * (0.011 * 0.021) ** 0.25)) ** (2 / 3)
    np.testing.assert_allclose(model, hertz, rtol=0.6)
