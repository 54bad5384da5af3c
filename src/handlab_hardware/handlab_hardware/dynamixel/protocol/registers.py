"""Control table of the X series: addresses, sizes and units of the registers.

Source: the vendor's e-manual (ROBOTIS-GIT/emanual, docs/en/dxl/x/*.md and
_includes/en/dxl/control_table_*.md). All models here share these addresses, except for the indirect
registers of the 330 series. `models` lists the differences between models.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np

TICKS_PER_TURN = 4096  # counts; positions per turn; 2048 is the middle of the horn's range
RAD_PER_TICK = 2 * np.pi / TICKS_PER_TURN  # rad per count of position
RAD_S_PER_COUNT = 0.229 * 2 * np.pi / 60  # rad/s per count of velocity, 0.229 rpm
RAD_S2_PER_COUNT = 214.577 * 2 * np.pi / 60**2  # rad/s2 per count, 214.577 rev/min^2
VOLT_PER_COUNT = 0.1  # V per count of voltage
PWM_PER_COUNT = 1 / 885  # duty cycle per count, 0.113 %
WATCHDOG_S_PER_COUNT = 0.020  # s per count of bus_watchdog
RETURN_DELAY_S_PER_COUNT = 2e-6  # s per count of return_delay_time


@dataclass(frozen=True, slots=True)
class Register:
    """Register of the control table."""

    name: str
    address: int
    size: int  # bytes, little-endian
    writable: bool = False
    signed: bool = False
    eeprom: bool = False
    """Whether the value survives without power and is locked while torque is on."""

    @property
    def end(self) -> int:
        """Return the first address after the register."""
        return self.address + self.size


def _table(*rows: tuple[str, int, int, str]) -> dict[str, Register]:
    """Build registers from rows of name, address, size, flags: w writable, s signed, e EEPROM."""
    return {
        name: Register(name, address, size, "w" in flags, "s" in flags, "e" in flags)
        for name, address, size, flags in rows
    }


REGISTERS = _table(
    ("model_number", 0, 2, "e"),
    ("model_information", 2, 4, "e"),
    ("firmware_version", 6, 1, "e"),
    ("id", 7, 1, "we"),
    ("baud_rate", 8, 1, "we"),
    ("return_delay_time", 9, 1, "we"),
    ("drive_mode", 10, 1, "we"),
    ("operating_mode", 11, 1, "we"),
    ("secondary_id", 12, 1, "we"),
    ("protocol_type", 13, 1, "we"),
    ("homing_offset", 20, 4, "wse"),
    ("moving_threshold", 24, 4, "we"),
    ("temperature_limit", 31, 1, "we"),
    ("max_voltage_limit", 32, 2, "we"),
    ("min_voltage_limit", 34, 2, "we"),
    ("pwm_limit", 36, 2, "we"),
    ("current_limit", 38, 2, "we"),
    ("velocity_limit", 44, 4, "we"),
    ("max_position_limit", 48, 4, "we"),
    ("min_position_limit", 52, 4, "we"),
    ("startup_configuration", 60, 1, "we"),
    ("pwm_slope", 62, 1, "we"),
    ("shutdown", 63, 1, "we"),
    ("torque_enable", 64, 1, "w"),
    ("led", 65, 1, "w"),
    ("status_return_level", 68, 1, "w"),
    ("registered_instruction", 69, 1, ""),
    ("hardware_error_status", 70, 1, ""),
    ("velocity_i_gain", 76, 2, "w"),
    ("velocity_p_gain", 78, 2, "w"),
    ("position_d_gain", 80, 2, "w"),
    ("position_i_gain", 82, 2, "w"),
    ("position_p_gain", 84, 2, "w"),
    ("feedforward_2nd_gain", 88, 2, "w"),
    ("feedforward_1st_gain", 90, 2, "w"),
    ("bus_watchdog", 98, 1, "ws"),
    ("goal_pwm", 100, 2, "ws"),
    ("goal_current", 102, 2, "ws"),
    ("goal_velocity", 104, 4, "ws"),
    ("profile_acceleration", 108, 4, "w"),
    ("profile_velocity", 112, 4, "w"),
    ("goal_position", 116, 4, "ws"),
    ("realtime_tick", 120, 2, ""),
    ("moving", 122, 1, ""),
    ("moving_status", 123, 1, ""),
    ("present_pwm", 124, 2, "s"),
    ("present_current", 126, 2, "s"),
    ("present_velocity", 128, 4, "s"),
    ("present_position", 132, 4, "s"),
    ("velocity_trajectory", 136, 4, "s"),
    ("position_trajectory", 140, 4, "s"),
    ("present_input_voltage", 144, 2, ""),
    ("present_temperature", 146, 1, ""),
    ("backup_ready", 147, 1, ""),
)
"""Registers by name, without the indirect registers."""

INDIRECT = (
    # first address register, first data register, count
    (168, 224, 28),
    (578, 634, 28),
)
"""Indirect registers. An address register, 2 bytes, points to the byte that a data register, one
byte, stands for."""

INDIRECT_330 = ((168, 208, 20),)
"""Indirect registers of the 330 series, the last registers of its table."""

TABLE_SIZE = 662
"""bytes; size of the control table, to the end of the last indirect data register."""


class OperatingMode(IntEnum):
    """Operating mode: the quantity that a servo controls."""

    CURRENT = 0
    VELOCITY = 1
    POSITION = 3
    EXTENDED_POSITION = 4
    CURRENT_BASED_POSITION = 5
    PWM = 16


class HardwareError(IntFlag):
    """Bits of `hardware_error_status` and of `shutdown`."""

    INPUT_VOLTAGE = 1 << 0
    OVERHEATING = 1 << 2
    MOTOR_ENCODER = 1 << 3
    ELECTRICAL_SHOCK = 1 << 4
    OVERLOAD = 1 << 5


MAX_GAIN = 16_383
"""Largest value of a gain's register; e-manual, control tables."""

BAUD_RATES = {
    9_600: 0,
    57_600: 1,
    115_200: 2,
    1_000_000: 3,
    2_000_000: 4,
    3_000_000: 5,
    4_000_000: 6,
    4_500_000: 7,
}
"""Speed, bit/s, to the value of `baud_rate`."""
