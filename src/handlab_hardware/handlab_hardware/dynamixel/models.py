"""What differs from one servo model to another.

From the vendor's e-manual, ROBOTIS-GIT/emanual: control tables from docs/en/dxl/x/<model>.md,
torque and speed at the voltage named there from _data/dxl_x_info.yml.
"""

from dataclasses import dataclass

from handlab_core.errors import UnknownName
from handlab_hardware.dynamixel.registers import OperatingMode

CURRENT_MODES = frozenset(OperatingMode)
LOAD_MODES = frozenset(
    (
        OperatingMode.VELOCITY,
        OperatingMode.POSITION,
        OperatingMode.EXTENDED_POSITION,
        OperatingMode.PWM,
    )
)


@dataclass(frozen=True, slots=True)
class ServoModel:
    """One model's facts."""

    name: str
    number: int
    """Of `model_number`."""
    stall_torque: float  # N m
    stall_current: float  # A
    no_load_speed: float  # rad/s
    current_unit: float | None
    """A per count of `present_current`; None: the register holds the load, 0.1 % per count."""
    current_limit: int | None  # counts, factory value
    velocity_limit: int  # counts, factory value
    temperature_limit: int  # degrees Celsius, factory value
    voltage_limits: tuple[int, int]  # counts of 0.1 V, factory minimum and maximum
    nominal_voltage: float  # V
    gains: tuple[int, int, int]
    """Factory position gains D, I, P."""
    velocity_gains: tuple[int, int]
    """Factory velocity gains I, P."""
    modes: frozenset[OperatingMode] = CURRENT_MODES
    fast_sync_read_firmware: int = 45
    """First firmware with fast sync and fast bulk read."""


RPM = 0.10471975511965977  # rad/s

MODELS = {
    model.name: model
    for model in (
        # 12.0 V: 3.0 N m, 2.3 A, 77 rpm
        ServoModel("XM430-W210", 1030, 3.0, 2.3, 77 * RPM, 2.69e-3, 1193, 330, 80, (95, 160), 12.0,
                   (0, 0, 800), (1920, 100)),
        # 24.0 V: 2.6 N m, 0.7 A, 52 rpm
        ServoModel("XH430-V210", 1050, 2.6, 0.7, 52 * RPM, 1.34e-3, 689, 380, 80, (110, 300), 24.0,
                   (0, 0, 800), (1920, 100)),
        # 12.0 V: 2.5 N m, 1.3 A, 50 rpm
        ServoModel("XH430-W210", 1010, 2.5, 1.3, 50 * RPM, 2.69e-3, 648, 210, 80, (95, 160), 12.0,
                   (0, 0, 900), (1920, 100)),
        # 12.0 V: 1.5 N m, 1.4 A, 61 rpm
        ServoModel("XL430-W250", 1060, 1.5, 1.4, 61 * RPM, None, None, 265, 72, (60, 140), 12.0,
                   (4000, 0, 640), (1000, 100), LOAD_MODES),
    )
}  # fmt: skip
"""Name to model."""


def make_model(name: str) -> ServoModel:
    """Look up a model by name; an unknown name raises UnknownName."""
    if name not in MODELS:
        raise UnknownName("servo model", name, MODELS)
    return MODELS[name]
