"""Claws as they are behind a wire, and hands of one wrong parameter."""

import numpy as np
import pytest

from handlab.benches.wire.simulated_claws import PROBES, as_simulated, probe_world
from handlab_core.hands import make_hand
from handlab_core.hands.servo import TICK
from handlab_core.worlds.world import Signals, World


def test_a_simulated_claw_has_the_encoders_and_the_cycle_of_one_behind_a_wire():
    world = as_simulated(World(make_hand("claw").servos, signals=Signals(latency=0.002)), (3, 1))
    assert (world.servos.resolution == TICK).all()
    assert world.signals.latency == pytest.approx(0.007) and world.signals.stream == (3, 1)


def test_a_probe_differs_in_one_parameter_alone():
    hand = make_hand("claw")
    own = hand.servos
    half, third = (probe_world(hand, PROBES[name]).servos for name in PROBES)
    np.testing.assert_allclose(half.stiffness, own.stiffness / 2)
    np.testing.assert_allclose(half.damping, own.damping)
    np.testing.assert_allclose(third.viscous, own.viscous / 3)
    np.testing.assert_allclose(third.stiffness, own.stiffness)
