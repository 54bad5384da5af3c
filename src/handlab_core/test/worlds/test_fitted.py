"""Files of fitted servos: written, read, used, and refused."""

import numpy as np
import pytest

from handlab_core.errors import BadConfig
from handlab_core.hands import make_hand
from handlab_core.worlds.fitted import (
    QUANTITIES,
    Estimate,
    HandFit,
    JointFit,
    fitted_path,
    read_fit,
    servos_of_fit,
    write_fit,
)

VALUES = {
    "gain": 3.0, "damping": 0.2, "friction": 0.01, "armature": 0.002, "delay": 0.012, "zero": -0.01,
    "backlash": 0.002,
}  # fmt: skip


def fit_of(hand):
    joint = JointFit(**{name: Estimate(VALUES[name], 0.0, 5.0) for name in QUANTITIES})
    return HandFit(
        hand=hand.name, joints=dict.fromkeys(hand.joints, joint), residual=1e-3, made="x"
    )


def test_a_file_holds_what_was_written(tmp_path):
    hand = make_hand("claw")
    write_fit(tmp_path / "claw.fitted.yaml", fit_of(hand))
    servos = servos_of_fit(read_fit(tmp_path / "claw.fitted.yaml"), hand)
    np.testing.assert_array_equal(servos.stiffness, np.full(9, 3.0))
    np.testing.assert_array_equal(servos.damping, np.full(9, 0.2))
    for name, value in {"coulomb": 0.01, "armature": 0.002, "delay": 0.012, "zero": -0.01}.items():
        np.testing.assert_array_equal(getattr(servos, name), np.full(9, value))


def test_the_damping_of_a_fit_is_that_of_the_engaged_joint():
    hand = make_hand("leap")  # whose loop has a part of it
    servos = servos_of_fit(fit_of(hand), hand)
    np.testing.assert_allclose(servos.damping, 0.2)
    np.testing.assert_array_equal(servos.braking, hand.servos.braking)


def test_the_file_is_beside_the_station_file(tmp_path):
    assert fitted_path("claw").name == "claw.fitted.yaml"
    assert fitted_path(str(tmp_path / "mine.yaml")) == tmp_path / "mine.fitted.yaml"


def test_what_is_no_fit_is_refused(tmp_path):
    with pytest.raises(BadConfig, match="identify"):
        read_fit(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("hand: claw\njoints: {}\nresidual: -1\nmade: x\n")
    with pytest.raises(BadConfig, match="residual is -1"):
        read_fit(tmp_path / "bad.yaml")
    with pytest.raises(BadConfig, match="of the hand claw, not of leap"):
        servos_of_fit(fit_of(make_hand("claw")), make_hand("leap"))
