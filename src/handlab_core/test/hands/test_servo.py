"""Servo types: their figures, sources, and the two hands' own servos."""

from dataclasses import fields, replace

import numpy as np
import pytest

from handlab_core.errors import BadConfig, UnknownName
from handlab_core.hands import make_hand
from handlab_core.hands.servo import (
    SERVO_TYPES,
    ServoParameters,
    dynamixel_servos,
    make_servos,
)


def test_the_claws_servos_are_those_of_robels_simulation():
    servos = make_hand("claw").servos
    for name, value in {
        "stiffness": 2.0, "braking": 0.0, "viscous": 0.1, "armature": 0.001, "torque_limit": 3.0,
        "coulomb": 0.0, "backlash": 0.0, "delay": 0.0, "resolution": 0.0, "zero": 0.0,
    }.items():  # fmt: skip
        np.testing.assert_array_equal(getattr(servos, name), np.full(9, value), name)


def test_the_allegro_hands_gains_are_those_of_its_driver():
    servos = make_hand("allegro").servos
    np.testing.assert_array_equal(servos.stiffness, np.full(16, 0.7 / 1200 * 4000))
    np.testing.assert_allclose(servos.braking[:4], 0.7 / 1200 * np.array([150, 200, 150, 150]))


def test_an_xm430_with_factory_gains_is_far_stiffer():
    known = make_servos("XM430-W210", 1)
    computed = dynamixel_servos(np.array([3.0]), np.array([77 * np.pi / 30]), np.array([800.0]))
    assert known.stiffness[0] == pytest.approx(13.81, abs=0.01)
    for field in fields(ServoParameters):
        np.testing.assert_array_equal(getattr(known, field.name), getattr(computed, field.name))


def test_every_figure_has_a_source():
    for name, kind in SERVO_TYPES.items():
        for field in fields(kind):
            figure = getattr(kind, field.name)
            assert figure.source and figure.value >= 0.0, (name, field.name)
            assert figure.status in ("published", "derived", "chosen")


def test_a_low_supply_weakens_the_loop_and_not_the_friction():
    servos = make_servos("XM430-W210", 2)
    weak = replace(servos, supply=np.array([0.5, 1.0]))
    assert weak.stiffness[0] == servos.stiffness[0] / 2 and weak.torque_limit[0] == 1.5
    np.testing.assert_array_equal(weak.damping, servos.damping)


def test_impossible_servos_are_rejected():
    with pytest.raises(BadConfig, match="gain of servos cannot be negative"):
        replace(make_servos("robel", 2), gain=np.full(2, -2.0))
    with pytest.raises(BadConfig, match="zero of servos must be 2 finite numbers"):
        replace(make_servos("robel", 2), zero=np.array([0.0, np.nan]))
    with pytest.raises(UnknownName, match="XM430-W210"):
        make_servos("AX-12", 1)
