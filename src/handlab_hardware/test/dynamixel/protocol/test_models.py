"""Servo models: consistency of the parameters."""

import pytest

from handlab_hardware.dynamixel.protocol.models import MODELS
from handlab_hardware.dynamixel.protocol.registers import (
    RAD_S_PER_COUNT,
)


def test_the_velocity_limit_of_xh430_v210_is_that_of_the_present_manual():
    assert MODELS["XH430-V210"].velocity_limit == 230  # older editions: 380


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_models_numbers_agree_with_each_other(model):
    """The velocity limit is near the speed without load, and the current limit above the stall."""
    facts = MODELS[model]
    limit = facts.velocity_limit * RAD_S_PER_COUNT
    assert 0.75 < limit / facts.no_load_speed < 1.3
    if facts.current_limit is not None:
        assert 1.0 < facts.current_limit * facts.current_unit / facts.stall_current < 1.45
    least, most = facts.voltage_limits
    assert least / 10 < facts.nominal_voltage < most / 10
    assert [m.name for m in MODELS.values() if m.number == facts.number] == [model]
