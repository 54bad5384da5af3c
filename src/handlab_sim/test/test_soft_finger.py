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


SPLITS = {
    "every second": (slice(0, None, 2), slice(1, None, 2)),
    "beyond the fit": (slice(0, 12), slice(12, None)),
}


@pytest.mark.parametrize("split", SPLITS)
def test_the_tip_of_a_measured_finger_is_predicted_at_held_out_pressures(split):
    """No tip is off by 5 % of the length; a finger without stiffening is worse."""
    seen, held_out = SPLITS[split]
    chamber = fit_finger(PRESSURES[seen], TIPS[seen], LENGTH)
    linear = Chamber(CHAIN, chamber.gain, 1.0)
    pressures, tips = PRESSURES[held_out], TIPS[held_out]
    off, worse = (
        np.linalg.norm(finger_tips(model, LENGTH, pressures) - tips, axis=1).max()
        for model in (chamber, linear)
    )
    assert off < 0.05 * LENGTH and worse > off
