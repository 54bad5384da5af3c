"""Motor temperatures of an emulated Allegro hand."""

import numpy as np

from handlab_hardware.allegro.physics import AMBIENT, HEAT_TIME, HEATING, MotorHeat


def test_motors_heat_with_the_square_of_torque_and_cool_again():
    heat = MotorHeat(np.full(2, 100.0))
    for _ in range(1200):
        heat.step(np.array([100.0, 50.0]), HEAT_TIME / 100)
    np.testing.assert_allclose(heat.temperature - AMBIENT, [HEATING, HEATING / 4], rtol=1e-3)
    heat.step(np.zeros(2), HEAT_TIME)
    np.testing.assert_allclose(heat.temperature[0] - AMBIENT, HEATING / np.e, rtol=1e-3)
