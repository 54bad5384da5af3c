import numpy as np
import pytest

from handlab_core.safety.limits import COOL_MARGIN, HOT_MARGIN, WARM_MARGIN
from handlab_core.safety.thermal_protection import ThermalProtection

LIMITS = np.array([80.0, 72.0])


def rest(heat, *margins):
    """Return the state at a distance [K] below each limit."""
    return heat.update(LIMITS - np.array(margins))


def test_an_xm430_is_warm_at_65_hot_at_75_and_cool_at_55():
    assert (80 - WARM_MARGIN, 80 - HOT_MARGIN, 80 - COOL_MARGIN) == (65, 75, 55)


def test_cool_motors_need_nothing():
    result = rest(ThermalProtection(LIMITS), 40, 40)
    assert not result.pause and not result.hot.any()


@pytest.mark.parametrize("joint", [0, 1])
def test_a_warm_joint_asks_for_a_pause_until_it_is_cool(joint):
    heat, margins = ThermalProtection(LIMITS), [40.0, 40.0]
    for margin, pause in (
        (16, False),
        (15, True),
        (16, True),
        (24.9, True),
        (25, False),
        (16, False),
    ):
        margins[joint] = margin
        result = rest(heat, *margins)
        assert result.pause is pause and not result.hot.any(), margin


def test_the_pause_lasts_until_every_joint_is_cool():
    heat = ThermalProtection(LIMITS)
    rest(heat, 10, 10)
    assert rest(heat, 30, 20).pause
    assert not rest(heat, 30, 30).pause


def test_a_hot_joint_is_released_until_it_is_no_longer_warm():
    heat = ThermalProtection(LIMITS)
    for margin, hot in ((6, False), (5, True), (6, True), (15, True), (15.1, False), (6, False)):
        assert rest(heat, 40, margin).hot.tolist() == [False, hot], margin


def test_an_unknown_temperature_changes_nothing():
    heat = ThermalProtection(LIMITS)
    rest(heat, 4, 40)
    result = heat.update(np.array([np.nan, np.nan]))
    assert result.pause and result.hot.tolist() == [True, False]
    assert not ThermalProtection(LIMITS).update(np.full(2, np.nan)).pause


def test_what_was_returned_does_not_change_later():
    heat = ThermalProtection(LIMITS)
    before = rest(heat, 40, 40)
    rest(heat, 1, 1)
    assert not before.hot.any()
