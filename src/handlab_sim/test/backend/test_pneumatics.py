"""Air in simulation: first-order pressures, the balance of air and rubber, vents, and slides."""

import numpy as np
import pytest

from handlab_core.errors import StationFault
from handlab_core.hands import make_hand
from handlab_core.hands.soft import MAX_PRESSURE, TIME_CONSTANT
from handlab_core.objects.fixture import FIXTURES
from handlab_core.tasks import make_task
from handlab_core.types import Command
from handlab_core.worlds.world import world_of
from handlab_sim.backend import MujocoBackend

SOFT = make_hand("soft")


def backend(fixture="bare", count=1, **options):
    return MujocoBackend(SOFT, FIXTURES.make(fixture), count, **options)


def command(pressure, supply=MAX_PRESSURE, count=1):
    shape = (count, SOFT.n)
    return Command(np.broadcast_to(pressure, shape).copy(), np.broadcast_to(supply, shape).copy())


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_a_pressure_follows_its_valve_like_a_first_order_system(steps):
    """The answer to a step is 1 - exp(-t / time constant), whatever the time step."""
    air, wanted = backend(), np.linspace(0.1, 0.7, SOFT.n)
    for _ in range(steps):
        reading = air.step(command(wanted), None, 0.01)
    expected = wanted * (1.0 - np.exp(-0.01 * steps / TIME_CONSTANT))
    np.testing.assert_allclose(reading.hand.q[0], expected, rtol=1e-9)
    air.step(command(wanted), None, 1.0)
    reading = air.step(command(0.0), None, 0.02)
    np.testing.assert_allclose(reading.hand.q[0], wanted * np.exp(-1.0), rtol=1e-9)


def test_a_chain_comes_to_rest_where_air_and_rubber_balance():
    """Its own weight bends a finger by less than 4 degrees from its shape without weight."""
    air = backend()
    for pressure in (0.0, 0.3, 0.8):
        for _ in range(10):
            air.step(command(pressure), None, 0.1)
        bent = air.sprung[0].reshape(-1)[:8].sum()
        assert bent == pytest.approx(SOFT.shape(np.full(SOFT.n, pressure))[:8].sum(), abs=0.07)


def test_a_chamber_without_supply_is_vented():
    air = backend()
    air.step(command(0.6), None, 0.5)
    reading = air.step(command(0.6, supply=0.0), None, 0.5)
    assert np.abs(reading.hand.q).max() < 1e-6 and np.abs(air.sprung).max() < 0.05


def test_a_low_supply_limits_the_pressure():
    reading = backend().step(command(0.8, supply=0.5), None, 0.5)
    np.testing.assert_allclose(reading.hand.q, 0.5, rtol=1e-6)


def test_an_episode_goes_on_exactly_from_its_state():
    """The pressures are part of the state, in the middle of a step of the valves."""
    one, other = backend("valve"), backend("valve")
    one.step(command(0.5), None, 0.1)
    one.step(command(0.8), None, 0.01)
    other.restore(one.state, float(one.read().hand.stamp[0]))
    for _ in range(20):
        a, b = (air.step(command(0.7), None, 0.1) for air in (one, other))
    np.testing.assert_array_equal(a.hand.q, b.hand.q)
    np.testing.assert_array_equal(a.fixture.q, b.fixture.q)


def test_worlds_of_a_soft_hand_vary():
    """A weak valve bends less, damped rubber is slow, a low supply limits the pressure."""
    values = {}, {"servo.gain": 0.5}, {"servo.damping": 20.0}, {"servo.torque": 0.5}
    worlds = [world_of(value, SOFT.servos, 0, i) for i, value in enumerate(values)]
    air = backend(count=4, worlds=worlds)
    reading = air.step(command(0.6, count=4), None, 0.1)
    bent = air.sprung[:, :8].sum(axis=1)
    assert bent[1] == pytest.approx(bent[0] / 2, rel=0.1) and bent[2] < 0.7 * bent[0]
    np.testing.assert_allclose(reading.hand.q[3] / reading.hand.q[0], 0.4 / 0.6, rtol=1e-6)


def test_a_hand_whose_shape_is_not_measured_cannot_be_led():
    with pytest.raises(StationFault, match="cannot be led"):
        backend().guide(np.zeros((1, SOFT.n)), np.zeros((1, SOFT.n)))


def test_a_sliding_object_is_measured_at_its_pulley():
    """20 mm of the bead for each rad; the motor draws it to an angle and holds it there."""
    air, bead = backend("bead"), FIXTURES.make("bead")
    reading = air.reset(None, 2.0)
    assert reading.fixture.q[0, 0] == pytest.approx(2.0)
    at = air.model.joint("bead").qposadr[0]
    assert air.batch.bind("qpos")[0, at] == pytest.approx(0.04)
    motor = Command(np.array([[1.0]]), np.array([[bead.max_effort]]))
    for _ in range(20):
        reading = air.step(command(0.0), motor, 0.1)
    assert reading.fixture.q[0, 0] == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(np.subtract(bead.mark_position(1.0), bead.mark), [-0.02, 0, 0])


def test_the_bottle_sinks_unless_fingers_hold_it():
    task = make_task("soft_bottle")
    air = backend("bottle", 2)
    wanted = np.stack((np.zeros(SOFT.n), np.full(SOFT.n, MAX_PRESSURE)))
    for _ in range(task.steps):
        reading = air.step(Command(wanted, np.full((2, SOFT.n), MAX_PRESSURE)), None, task.period)
    let_go, held = reading.fixture.q[:, 0]
    assert let_go < -2.0 and abs(held) < task.success.tolerance
