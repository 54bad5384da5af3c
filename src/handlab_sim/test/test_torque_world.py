"""The world that is driven by torques is the one that is driven by targets."""

import numpy as np
import pytest

from handlab_core.errors import BadConfig
from handlab_core.hands import HANDS, make_hand
from handlab_core.objects.fixture import FIXTURES
from handlab_core.types import Command
from handlab_sim.backend import MujocoBackend
from handlab_sim.scene import SceneConfig
from handlab_sim.torque_world import TIMESTEP, TorqueWorld


@pytest.fixture(params=[name for name in sorted(HANDS) if make_hand(name).pneumatics is None])
def hand(request):
    return make_hand(request.param)


def test_the_hands_own_controller_outside_moves_it_as_inside(hand):
    """PD control outside the world follows targets as the actuators of `MujocoBackend` do."""
    valve, target = FIXTURES.make("valve"), 0.8 * hand.nominal + 0.2 * hand.target(np.zeros(hand.n))
    inside = MujocoBackend(hand, valve, config=SceneConfig(timestep=TIMESTEP))
    outside = TorqueWorld(hand, valve)
    q, qd = hand.nominal, np.zeros(hand.n)
    for _ in range(20):
        expected = inside.step(Command(target[None], hand.max_effort[None]), None, 0.01).hand
        for _ in range(10):
            torque = hand.stiffness * (target - q) - hand.damping * qd
            q, qd = outside.step(np.clip(torque, -hand.max_effort, hand.max_effort), TIMESTEP)
        np.testing.assert_allclose(q, expected.q[0], atol=5e-3)
    assert np.abs(q - hand.nominal).max() > 0.02


def test_torques_are_cut_to_what_the_joints_can(hand):
    world = TorqueWorld(hand, FIXTURES.make("valve"))
    world.step(np.full(hand.n, 99.0), TIMESTEP)
    assert (np.abs(world.data.actuator_force[:-1]) <= hand.max_effort + 1e-9).all()


def test_the_object_turns_when_it_is_driven_and_not_before(hand):
    world = TorqueWorld(hand, FIXTURES.make("valve"))
    world.step(np.zeros(hand.n), 0.01)
    assert world.object_angle == pytest.approx(0.0, abs=1e-3)
    world.drive_object(0.1)
    world.step(np.zeros(hand.n), 0.1)
    assert world.object_angle > 0.01 and world.object_velocity > 0.1


def test_a_time_that_is_no_whole_number_of_steps_is_refused(hand):
    with pytest.raises(BadConfig, match="whole number of steps"):
        TorqueWorld(hand, FIXTURES.make("valve")).step(np.zeros(hand.n), 0.0015)


def test_a_hand_of_air_is_not_driven_by_torques():
    with pytest.raises(BadConfig, match="chambers of the soft hand"):
        TorqueWorld(make_hand("soft"), FIXTURES.make("valve"))
