"""Names of hardware errors."""

import pytest

from handlab_hardware.dynamixel.failures import error_names


@pytest.mark.parametrize(
    ("bits", "names"),
    [
        (0, ""),
        (1 << 2, "overheating"),
        (1 << 0 | 1 << 5, "input voltage out of range, overload"),
        (1 << 3 | 1 << 7, "motor encoder, unknown error 0x80"),
    ],
)
def test_hardware_errors_have_names_and_unknown_bits_their_number(bits, names):
    assert error_names(bits) == names
