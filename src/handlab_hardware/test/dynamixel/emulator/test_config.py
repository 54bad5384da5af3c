"""Configuration of an emulated bus."""

import pytest

from handlab_core.errors import BadConfig, UnknownName
from handlab_hardware.dynamixel.emulator import (
    EmulatorConfig,
    emulate,
)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"ids": ()}, BadConfig),
        ({"ids": (1, 1)}, BadConfig),
        ({"ids": (253,)}, BadConfig),
        ({"ids": (1, 2, 3), "models": ("XM430-W210",) * 2}, BadConfig),
        ({"baud": 1234}, BadConfig),
        ({"models": ("XM999",)}, UnknownName),
    ],
)
def test_configs_that_cannot_be_are_refused(values, error):
    with pytest.raises(error):
        emulate(EmulatorConfig(**values))
