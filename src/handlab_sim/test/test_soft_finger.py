"""The model of a soft finger: known answers, and a finger that was measured."""

import numpy as np
import pytest

from handlab_core.hands.pneumatics import Chamber
from handlab_sim.soft_finger import (
    CHAIN,
    LENGTH,
    LINKS,
    PRESSURES,
    TIPS,
    arc,
    finger_tips,
    fit_finger,
)


def test_a_chain_under_pressure_is_the_arc_that_air_and_rubber_balance():
    """MuJoCo's rest is that of the formula, with stiffening too; both signs of pressure."""
    for chamber in (Chamber(CHAIN, 0.4, 0.5), Chamber(CHAIN, 0.4, 0.5, 2.0)):
        pressures = np.array([-0.2, 0.0, 0.3, 0.6])
        angles = np.array([chamber.angle(pressure) for pressure in pressures])
        tips = finger_tips(chamber, LENGTH, pressures)
        np.testing.assert_allclose(tips, arc(angles, LENGTH), atol=1e-5)


def test_many_short_links_are_a_circle():
    """A chain bent by half a turn ends within 2 % of the diameter of the circle of its length."""
    tip = arc(np.array(np.pi / LINKS), LENGTH)
    np.testing.assert_allclose(tip, [-2 * LENGTH / np.pi, 0.0], atol=0.02 * 2 * LENGTH / np.pi)


def test_a_fit_recovers_a_finger_from_its_tips():
    own = Chamber(CHAIN, 0.3, 1.0, 20.0)
    angles = np.array([own.angle(pressure) for pressure in PRESSURES])
    found = fit_finger(PRESSURES, arc(angles, LENGTH), LENGTH)
    assert (found.gain, found.stiffening) == pytest.approx((0.3, 20.0), rel=1e-3)


def test_the_tip_of_a_measured_finger_is_predicted_at_held_out_pressures():
    """Every second pressure fits the model; at the others no tip is off by 5 % of the length."""
    chamber = fit_finger(PRESSURES[::2], TIPS[::2], LENGTH)
    off = np.linalg.norm(finger_tips(chamber, LENGTH, PRESSURES[1::2]) - TIPS[1::2], axis=1)
    assert off.max() < 0.05 * LENGTH
    linear = Chamber(CHAIN, chamber.gain, 1.0)
    worse = np.linalg.norm(finger_tips(linear, LENGTH, PRESSURES[1::2]) - TIPS[1::2], axis=1)
    assert worse.max() > off.max()
