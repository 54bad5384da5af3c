"""Servo settings as arrays, so that the control loop handles all servos at once."""

from collections.abc import Sequence

import numpy as np

from handlab_hardware.dynamixel.emulator.firmware.servo import Servo
from handlab_hardware.dynamixel.emulator.firmware.table import REVERSE, TIME_BASED
from handlab_hardware.dynamixel.protocol.models import ServoModel
from handlab_hardware.dynamixel.protocol.registers import (
    PWM_PER_COUNT,
    RAD_PER_TICK,
    RAD_S2_PER_COUNT,
    RAD_S_PER_COUNT,
    TICKS_PER_TURN,
    OperatingMode,
)

MIDDLE = TICKS_PER_TURN / 2

FIRMWARE_PERIOD = 1e-3
"""s; period of the firmware's controllers, the unit of time in its I and D gains; chosen."""

DUTY_PER_TICK = PWM_PER_COUNT / RAD_PER_TICK
DUTY_PER_SPEED = PWM_PER_COUNT / RAD_S_PER_COUNT

POSITION_MODES = frozenset(
    (
        OperatingMode.POSITION,
        OperatingMode.EXTENDED_POSITION,
        OperatingMode.CURRENT_BASED_POSITION,
    )
)
MAX_HOMING_IN_POSITION_MODE = 1024
"""counts; larger homing offsets are ignored; control_table_homingoffset.md."""


class Settings:
    """Settings of all servos, arrays (n,); `load` fills a column from a servo's table."""

    def __init__(self, models: Sequence[ServoModel]) -> None:
        n = len(models)
        self.stall_torque = np.array([model.stall_torque for model in models])  # N m
        self.stall_current = np.array([model.stall_current for model in models])  # A
        self.nominal = np.array([model.nominal_voltage for model in models])  # V
        self.load_scale = np.array(
            [
                1000.0 if model.current_unit is None else model.stall_current / model.current_unit
                for model in models
            ]
        )
        """counts; present current, or load, at stall torque."""
        self.mode = np.zeros(n, dtype=np.int64)
        self.torque = np.zeros(n, dtype=np.bool_)
        self.velocity_mode, self.position_mode = self.torque.copy(), self.torque.copy()
        self.sign, self.offset, self.base = np.ones(n), np.zeros(n), np.zeros(n)
        """Direction; homing offset, counts; lost whole turns of the horn, counts, without the
        direction."""
        self.goal = np.zeros(n)  # counts
        self.goal_speed = np.zeros(n)  # counts/s
        self.goal_torque, self.goal_duty = np.zeros(n), np.zeros(n)  # N m; of full duty
        self.max_torque, self.max_duty = np.zeros(n), np.zeros(n)
        self.top, self.acceleration = np.zeros(n), np.zeros(n)  # counts/s, counts/s2
        self.timed = np.zeros(n, dtype=np.bool_)
        self.span, self.rise = np.zeros(n), np.zeros(n)  # s
        self.position_gains, self.velocity_gains = np.zeros((3, n)), np.zeros((2, n))
        self.watchdog = np.zeros(n)  # counts
        self.moving_threshold = np.zeros(n)  # counts of velocity
        self.temperature_limit = np.zeros(n)  # degrees Celsius
        self.voltage_limits = np.zeros((2, n))  # counts
        self.any_profile = self.any_watchdog = False

    def load(self, i: int, servo: Servo) -> None:
        """Load the settings of one servo."""
        get, mode = servo.table.get, servo.mode
        self.mode[i], self.torque[i] = mode, servo.torque
        self.velocity_mode[i] = servo.torque and mode == OperatingMode.VELOCITY
        self.position_mode[i] = mode in POSITION_MODES
        drive = get("drive_mode")
        self.sign[i] = -1.0 if drive & REVERSE else 1.0
        offset = get("homing_offset")
        too_much = abs(offset) > MAX_HOMING_IN_POSITION_MODE
        self.offset[i] = 0 if mode == OperatingMode.POSITION and too_much else offset
        self.watchdog[i] = get("bus_watchdog")
        self.moving_threshold[i] = get("moving_threshold")
        self.temperature_limit[i] = get("temperature_limit")
        self.voltage_limits[:, i] = get("min_voltage_limit"), get("max_voltage_limit")
        self._load_gains(i, servo)
        self._load_goals(i, servo)
        self._load_profile(i, servo, bool(drive & TIME_BASED))
        self.any_watchdog = bool((self.watchdog > 0).any())

    def _load_gains(self, i: int, servo: Servo) -> None:
        """Convert gains; source: control_table_position_pid_gain.md, ..._velocity_pi_gain.md."""
        get = servo.table.get
        self.position_gains[:, i] = (
            get("position_i_gain") / 65_536 * DUTY_PER_TICK / FIRMWARE_PERIOD,
            get("position_d_gain") / 16 * DUTY_PER_TICK * FIRMWARE_PERIOD,
            get("position_p_gain") / 128 * DUTY_PER_TICK,
        )
        self.velocity_gains[:, i] = (
            get("velocity_i_gain") / 65_536 * DUTY_PER_SPEED / FIRMWARE_PERIOD,
            get("velocity_p_gain") / 128 * DUTY_PER_SPEED,
        )

    def _load_goals(self, i: int, servo: Servo) -> None:
        get, mode, model = servo.table.get, servo.mode, servo.model
        self.goal_speed[i] = get("goal_velocity") * RAD_S_PER_COUNT / RAD_PER_TICK
        pwm = get("goal_pwm")
        limited = pwm if mode == OperatingMode.PWM else min(abs(pwm), get("pwm_limit"))
        self.goal_duty[i] = limited * PWM_PER_COUNT
        self.max_duty[i] = abs(self.goal_duty[i])
        most = model.stall_torque
        if model.current_unit is not None:
            per_count = model.current_unit * model.stall_torque / model.stall_current
            self.goal_torque[i] = get("goal_current") * per_count
            if mode in (OperatingMode.CURRENT, OperatingMode.CURRENT_BASED_POSITION):
                most = abs(self.goal_torque[i])
        if mode == OperatingMode.CURRENT:
            self.max_duty[i] = get("pwm_limit") * PWM_PER_COUNT
        self.max_torque[i] = most if servo.torque else 0.0

    def _load_profile(self, i: int, servo: Servo, timed: bool) -> None:
        velocity, acceleration = (
            servo.table.get("profile_velocity"),
            servo.table.get("profile_acceleration"),
        )
        self.timed[i] = timed
        self.span[i], self.rise[i] = velocity / 1000, acceleration / 1000
        self.top[i] = velocity * RAD_S_PER_COUNT / RAD_PER_TICK
        self.acceleration[i] = acceleration * RAD_S2_PER_COUNT / RAD_PER_TICK
        if timed and self.velocity_mode[i]:
            change = abs(self.goal_speed[i])
            self.acceleration[i] = change / self.rise[i] if acceleration else 0.0
        self.any_profile = bool(self.any_profile or (velocity > 0) or self.velocity_mode.any())
