"""Chambers: the angles that air gives a chain, and pressures that are refused."""

from dataclasses import replace

import numpy as np
import pytest

from handlab_core.errors import BadConfig
from handlab_core.hands import make_hand
from handlab_core.hands.pneumatics import Chamber, Pneumatics

CHAMBER = Chamber(("a", "b"), gain=0.2, stiffness=0.5)


def test_a_linear_spring_bends_in_proportion_to_the_pressure():
    assert CHAMBER.angle(0.5) == pytest.approx(0.2 * 0.5 / 0.5)


def test_a_spring_that_stiffens_balances_the_torque_of_the_air():
    chamber = replace(CHAMBER, stiffening=3.0)
    for pressure in (-0.4, 0.0, 0.3, 0.8):
        angle = chamber.angle(pressure)
        assert (0.5 + 3.0 * angle**2) * angle == pytest.approx(0.2 * pressure)
    assert abs(chamber.angle(0.8)) < CHAMBER.angle(0.8)


def test_the_shape_of_the_soft_hand_is_a_curl_of_each_chain():
    """Half a turn of a finger at the largest pressure; a chamber bends no other one's chain."""
    hand = make_hand("soft")
    pressure = np.zeros(hand.n)
    pressure[hand.index("index")] = hand.upper[0]
    shape = dict(zip(hand.moving, hand.shape(pressure), strict=True))
    assert sum(shape[f"index_{i}"] for i in range(8)) == pytest.approx(np.pi)
    assert not any(angle for name, angle in shape.items() if not name.startswith("index"))
    assert (hand.unit, make_hand("claw").unit) == ("bar", "rad")


@pytest.mark.parametrize("wrong", [{"chain": ()}, {"gain": 0.0}, {"stiffness": -1.0}])
def test_impossible_chambers_are_refused(wrong):
    with pytest.raises(BadConfig, match="chamber"):
        replace(CHAMBER, **wrong)


def test_a_time_constant_is_positive_and_a_joint_has_one_chamber():
    with pytest.raises(BadConfig, match="time_constant"):
        Pneumatics((CHAMBER,), 0.0)
    with pytest.raises(BadConfig, match="same joint"):
        Pneumatics((CHAMBER, CHAMBER), 0.02)


def test_a_hand_has_a_chamber_for_each_name():
    hand = make_hand("soft")
    with pytest.raises(BadConfig, match="6 chambers for 7"):
        replace(hand, pneumatics=Pneumatics(hand.pneumatics.chambers[1:], 0.02))
