"""Parameters of the servo models.

Source: the vendor's e-manual, ROBOTIS-GIT/emanual. Control tables: docs/en/dxl/x/<model>.md. Torque
and speed at the given voltage: _data/dxl_x_info.yml and the pages' specifications. Features by
firmware: _includes/en/dxl/control_table_drivemode.md, ..._startup_configuration.md.

Editions of a page differ. For XH430-V210 older ones (commits 00fc3614 and b6bee155) have a velocity
limit of 380, which is 87 rpm; the present one has 230, which fits the 52 rpm without load.
"""

from dataclasses import dataclass

from handlab_core.errors import UnknownName
from handlab_hardware.dynamixel.protocol.registers import INDIRECT, INDIRECT_330, OperatingMode

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
    """Parameters of one servo model."""

    name: str
    number: int
    """Value of `model_number`."""
    stall_torque: float  # N m
    stall_current: float  # A
    no_load_speed: float  # rad/s
    current_unit: float | None
    """A per count of `present_current`; None: the register holds the load, 0.1 % per count."""
    current_limit: int | None  # counts; factory value
    velocity_limit: int  # counts; factory value
    temperature_limit: int  # degrees Celsius; factory value
    voltage_limits: tuple[int, int]  # counts of 0.1 V; factory minimum and maximum
    nominal_voltage: float  # V
    gains: tuple[int, int, int]
    """Factory position gains D, I, P."""
    velocity_gains: tuple[int, int]
    """Factory velocity gains I, P."""
    modes: frozenset[OperatingMode] = CURRENT_MODES
    fast_sync_read_firmware: int = 45
    """First firmware version with fast sync read, fast bulk read, startup configuration, backup and
    torque on by goal update."""
    timed_profile_firmware: int = 42
    """First firmware version with time-based profiles."""
    shutdown: int = 52
    """Factory value of `shutdown`: hardware errors that turn the torque off."""
    velocity_limit_most: int = 1023
    """counts; largest value of `velocity_limit`."""
    protocols: tuple[int, int] = (1, 2)
    """Smallest and largest value of `protocol_type`."""
    pwm_slope: int | None = None
    """counts; factory value of `pwm_slope`; None: the model has no such register."""
    baud_rate_most: int = 7
    """Largest value of `baud_rate`."""
    indirect: tuple[tuple[int, int, int], ...] = INDIRECT
    """Indirect registers: first address register, first data register, count."""


RPM = 0.10471975511965977  # rad/s


def _small(
    name: str,
    number: int,
    torque: float,
    current: float,
    rpm: float,
    current_limit: int,
    velocity_limit: int,
    voltage_limits: tuple[int, int],
    voltage: float,
    gains: tuple[int, int, int],
    velocity_gains: tuple[int, int],
    shutdown: int = 52,
    pwm_slope: int = 140,
) -> ServoModel:
    """Build a model of the 330 series, with currents in mA and a shorter control table."""
    return ServoModel(
        name, number, torque, current, rpm * RPM, 1e-3, current_limit, velocity_limit, 70,
        voltage_limits, voltage, gains, velocity_gains, fast_sync_read_firmware=46,
        timed_profile_firmware=0, shutdown=shutdown, velocity_limit_most=2047, protocols=(2, 22),
        pwm_slope=pwm_slope, baud_rate_most=6, indirect=INDIRECT_330,
    )  # fmt: skip


MODELS = {
    model.name: model
    for model in (
        # 12.0 V: 3.0 N m, 2.3 A, 77 rpm
        ServoModel("XM430-W210", 1030, 3.0, 2.3, 77 * RPM, 2.69e-3, 1193, 330, 80, (95, 160), 12.0,
                   (0, 0, 800), (1920, 100)),
        # 24.0 V: 2.6 N m, 0.7 A, 52 rpm
        ServoModel("XH430-V210", 1050, 2.6, 0.7, 52 * RPM, 1.34e-3, 689, 230, 80, (110, 300), 24.0,
                   (0, 0, 800), (1920, 100)),
        # 12.0 V: 2.5 N m, 1.3 A, 50 rpm
        ServoModel("XH430-W210", 1010, 2.5, 1.3, 50 * RPM, 2.69e-3, 648, 210, 80, (95, 160), 12.0,
                   (0, 0, 900), (1920, 100)),
        # 12.0 V: 1.5 N m, 1.4 A, 61 rpm
        ServoModel("XL430-W250", 1060, 1.5, 1.4, 61 * RPM, None, None, 265, 72, (60, 140), 12.0,
                   (4000, 0, 640), (1000, 100), LOAD_MODES),
        # 12.0 V: 1.5 N m, 1.4 A, 61 rpm. Two axes in one case: two ids, each with a table.
        ServoModel("2XL430-W250", 1090, 1.5, 1.4, 61 * RPM, None, None, 250, 72, (60, 140), 12.0,
                   (2000, 0, 640), (1800, 100), LOAD_MODES),
        # 12.0 V: 1.6 N m, 1.4 A, 106 rpm
        ServoModel("XC430-W150", 1070, 1.6, 1.4, 106 * RPM, None, None, 460, 80, (60, 160), 12.0,
                   (0, 0, 460), (1920, 100), LOAD_MODES),
        # 12.0 V: 1.9 N m, 1.4 A, 70 rpm
        ServoModel("XC430-W240", 1080, 1.9, 1.4, 70 * RPM, None, None, 306, 80, (60, 160), 12.0,
                   (0, 0, 700), (1920, 100), LOAD_MODES),
        # 12.0 V: 4.1 N m, 2.3 A, 46 rpm
        ServoModel("XM430-W350", 1020, 4.1, 2.3, 46 * RPM, 2.69e-3, 1193, 200, 80, (95, 160), 12.0,
                   (0, 0, 800), (1920, 100)),
        # 12.0 V: 7.3 N m, 4.4 A, 53 rpm
        ServoModel("XM540-W150", 1130, 7.3, 4.4, 53 * RPM, 2.69e-3, 2047, 230, 80, (95, 160), 12.0,
                   (0, 0, 800), (1920, 100)),
        # 12.0 V: 10.6 N m, 4.4 A, 30 rpm
        ServoModel("XM540-W270", 1120, 10.6, 4.4, 30 * RPM, 2.69e-3, 2047, 128, 80, (95, 160), 12.0,
                   (0, 0, 800), (1920, 100)),
        # 5.0 V: 0.215 N m, 1.47 A, 383 rpm
        _small("XL330-M077", 1190, 0.215, 1.47, 383, 1750, 1620, (35, 70), 5.0,
               (0, 400, 400), (400, 40), shutdown=53),
        # 5.0 V: 0.52 N m, 1.47 A, 103 rpm
        _small("XL330-M288", 1200, 0.52, 1.47, 103, 1750, 445, (35, 70), 5.0,
               (0, 0, 400), (1600, 180), shutdown=53),
        # 5.0 V: 0.60 N m, 1.80 A, 129 rpm
        _small("XC330-M181", 1230, 0.60, 1.80, 129, 2352, 545, (35, 70), 5.0,
               (500, 0, 1200), (1400, 100)),
        # 5.0 V: 0.93 N m, 1.80 A, 81 rpm
        _small("XC330-M288", 1240, 0.93, 1.80, 81, 2352, 350, (35, 70), 5.0,
               (500, 0, 1100), (1600, 50)),
        # 12.0 V: 0.80 N m, 0.88 A, 113 rpm
        _small("XC330-T181", 1210, 0.80, 0.88, 113, 910, 510, (55, 140), 12.0,
               (0, 0, 900), (1200, 40), pwm_slope=255),
        # 12.0 V: 1.00 N m, 0.88 A, 71 rpm
        _small("XC330-T288", 1220, 1.00, 0.88, 71, 910, 320, (55, 140), 12.0,
               (0, 0, 900), (1200, 40), pwm_slope=255),
    )
}  # fmt: skip
"""Name to model."""


def make_model(name: str) -> ServoModel:
    """Look up a model by name; an unknown name raises UnknownName.

    A suffix for the kind of its plug, as in XM430-W210-T, makes no difference.
    """
    plain = name.removesuffix("-T").removesuffix("-R")
    if plain not in MODELS:
        raise UnknownName("servo model", name, MODELS)
    return MODELS[plain]
