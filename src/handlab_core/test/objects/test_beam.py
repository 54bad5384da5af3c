"""A round beam: what theory says of it."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.objects.beam import ROOT, RoundBeam
from handlab_core.objects.fixture import FOAM_LOBE

SLENDER = RoundBeam(modulus=1e5, poisson=0.3, radius=0.001, length=0.2)


def test_a_slender_beam_bends_as_euler_and_bernoulli_say():
    """x^3 / (3 E I), worked by hand: I = pi 1e-12 / 4."""
    expected = 0.2**3 / (3 * 1e5 * np.pi * 1e-12 / 4)
    assert SLENDER.compliance(0.2) == pytest.approx(expected, rel=1e-4)


def test_a_stub_shears_more_than_it_bends():
    stub = replace(FOAM_LOBE, length=0.01)
    assert stub.compliance(0.01) > 2 * 0.01**3 / (3 * stub.bending)


def test_twice_as_soft_gives_twice_as_far():
    soft = replace(FOAM_LOBE, modulus=FOAM_LOBE.modulus / 2)
    assert soft.compliance(0.05) == pytest.approx(2 * FOAM_LOBE.compliance(0.05))
    assert soft.joint_stiffness == pytest.approx(FOAM_LOBE.joint_stiffness / 2)


def test_the_joint_gives_as_far_as_the_beams_end():
    arm = (1 - ROOT) * FOAM_LOBE.length
    assert arm**2 / FOAM_LOBE.joint_stiffness == pytest.approx(
        FOAM_LOBE.compliance(FOAM_LOBE.length)
    )


def test_a_slender_joint_is_howells():
    """His stiffness factor is 2.65: stiffness 0.85 x 2.65 E I / L."""
    howell = 0.85 * 2.65 * SLENDER.bending / SLENDER.length
    assert SLENDER.joint_stiffness == pytest.approx(howell, rel=0.05)
