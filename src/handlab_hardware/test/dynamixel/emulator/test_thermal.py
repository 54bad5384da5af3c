import numpy as np
import pytest

from handlab_core.errors import BadConfig
from handlab_hardware.dynamixel.emulator.thermal import ThermalModel

MODEL = ThermalModel(ambient=20.0, rise=100.0, time_constant=60.0)


def test_heat_is_that_of_the_square_of_the_load():
    end = MODEL.heat(np.full(3, 20.0), np.array([0.0, 0.5, -1.0]), dt=1e4)
    np.testing.assert_allclose(end, [20.0, 45.0, 120.0])


def test_after_a_time_constant_a_motor_is_63_percent_warm():
    warm = MODEL.heat(np.array(20.0), np.array(1.0), dt=60.0)
    assert warm == pytest.approx(20.0 + 100.0 * (1.0 - np.exp(-1.0)))


def test_steps_add_up_whatever_their_length():
    start, load = np.array([20.0, 70.0]), np.array([0.3, 0.1])
    many = start
    for _ in range(100):
        many = MODEL.heat(many, load, dt=0.5)
    np.testing.assert_allclose(many, MODEL.heat(start, load, dt=50.0))


def test_a_batch_is_its_rows():
    rng = np.random.default_rng(0)
    warm, load = rng.uniform(20, 80, (4, 9)), rng.uniform(-1, 1, (4, 9))
    rows = [MODEL.heat(*row, dt=1.0) for row in zip(warm, load, strict=True)]
    np.testing.assert_array_equal(MODEL.heat(warm, load, dt=1.0), rows)


def test_a_motor_that_rests_cools_to_the_ambient_and_never_below():
    cooled = MODEL.heat(np.array(80.0), np.array(0.0), dt=30.0)
    assert 20.0 < cooled < 80.0


@pytest.mark.parametrize("values", [{"time_constant": 0.0}, {"rise": -1.0}])
def test_what_cannot_be_is_refused(values):
    with pytest.raises(BadConfig):
        ThermalModel(**values)
