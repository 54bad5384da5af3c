"""The firmware's control loop, over all servos of a bus at once.

Goals go from the servos' tables to the physics, and measurements go back. Heat, voltage, load and
silence of the bus are watched on the way. Time is an argument, and is advanced lazily in whole
periods of the physics.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.types import Array
from handlab_hardware.dynamixel.emulator.firmware import profile
from handlab_hardware.dynamixel.emulator.firmware.servo import Servo
from handlab_hardware.dynamixel.emulator.firmware.settings import MIDDLE, Settings
from handlab_hardware.dynamixel.emulator.physics import Goals, Physics
from handlab_hardware.dynamixel.emulator.thermal import ThermalModel
from handlab_hardware.dynamixel.protocol.registers import (
    PWM_PER_COUNT,
    RAD_PER_TICK,
    RAD_S_PER_COUNT,
    REGISTERS,
    TICKS_PER_TURN,
    VOLT_PER_COUNT,
    WATCHDOG_S_PER_COUNT,
    HardwareError,
    OperatingMode,
)

RESET_PART = 0.6
"""Fraction of the nominal voltage below which a small servo resets; chosen: 3 V of 5 V for the 330
series."""

REST_SPEED = 0.01  # rad/s; largest speed of a servo at rest; chosen
REST_TIME = 0.5
"""s; time at rest without torque, after which nothing moves by itself; chosen."""

PRESENT = struct.Struct("<HBBhhiiiiHB")
PRESENT_START = REGISTERS["realtime_tick"].address
"""First address of the adjacent registers from tick to temperature, written together."""
PRESENT_VALUES = 10  # number of these registers, without the tick
MAX_TEMPERATURE = 255.0  # degrees Celsius; largest value of the register

IN_POSITION, FOLLOWING, ONGOING = 0x01, 0x08, 0x02  # bits of moving_status
IN_POSITION_TICKS = 10
"""counts; largest error of a servo in position; chosen after answers.ros.org/question/303081."""
FOLLOWING_TICKS = 100  # chosen
COUNT_S_PER_TICK_S = RAD_PER_TICK / RAD_S_PER_COUNT  # velocity counts per position count/s
TICK_RANGE = 32_768  # ms; range of the realtime tick


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """Environment of the servos; chosen, since the manual gives no figures."""

    thermal: ThermalModel = field(default_factory=ThermalModel)
    supply: float | None = None  # V; None: each servo's nominal voltage
    wiring: float = 0.1  # ohm; resistance between supply and servos
    overload: float = 0.95  # fraction of the stall torque that counts as overload
    overload_s: float = 2.0  # s; duration of an overload before the error
    reset_voltage: float = 6.0
    """V; voltage below which a servo's controller resets; RESET_PART of the nominal voltage for
    small servos."""
    house_period: float = 0.01  # s; period of checks of temperature, voltage and load


class Wear:
    """Weak and loose servos.

    Args:
        n: number of servos.
    """

    def __init__(self, n: int) -> None:
        self._strength, self._play = np.ones(n), np.zeros(n)
        self.none = True
        """Whether all servos are as new; a short cut for speed."""

    def weaken(self, servos: Sequence[int], strength: float) -> None:
        """Leave a part of the torque, and of the current, to some servos."""
        self._strength[servos] = strength
        self.none = False

    def loosen(self, servos: Sequence[int], play: float) -> None:
        """Give play, rad, end to end, to the gears of some servos."""
        self._play[servos] = play
        self.none = False

    def end(self) -> None:
        """Make all servos as new."""
        self._strength[:], self._play[:], self.none = 1.0, 0.0, True

    def worn(self, goals: Goals, position: Array) -> Goals:
        """Return the goals with which new servos at these positions, rad, act like the worn ones.

        The torque of a position loop is in proportion to the distance from its goal.
        """
        half, part, error = self._play / 2, self._strength, goals.position - position
        felt = np.sign(error) * np.maximum(np.abs(error) - half, 0.0)
        return replace(
            goals,
            position=position + part * felt,
            torque=part * goals.torque,
            duty=part * goals.duty,
            max_torque=part * goals.max_torque,
        )


class ControlLoop:
    """Control loops and sensors of all servos.

    Args:
        servos: servos whose tables are served.
        physics: dynamics of the servos, in the same order.
        config: environment of the servos; None: the defaults.
        now: time at which the loop begins, s.
    """

    def __init__(
        self,
        servos: Sequence[Servo],
        physics: Physics,
        config: LoopConfig | None = None,
        now: float = 0.0,
    ) -> None:
        self.config = config or LoopConfig()
        self.servos, self.physics = tuple(servos), physics
        n = len(self.servos)
        if physics.read().position.shape != (n,):
            raise BadConfig(
                f"{n} servos are on the bus, but the physics has positions of shape "
                f"{physics.read().position.shape}; give it one for each servo"
            )
        self.settings = Settings([servo.model for servo in self.servos])
        self.motion = physics.read()
        self._start, self._steps = now, 0
        self.heard = now
        """s, when the last instruction packet was on the wire."""
        self._trajectory, self._speed = np.zeros(n), np.zeros(n)
        self._top, self._acceleration = np.zeros(n), np.zeros(n)
        self._kind = np.zeros(n)
        self.temperature = np.full(n, self.config.thermal.ambient)
        nominal = [servo.model.nominal_voltage for servo in self.servos]
        self.supply = np.array([self.config.supply or v for v in nominal])
        """V at each servo without load, (n,)."""
        self.voltage = self.supply.copy()
        self.wear = Wear(n)
        self._strained = np.zeros(n)  # s of too much load
        self._house = max(1, round(self.config.house_period / physics.period))
        self._columns = np.zeros((PRESENT_VALUES, n))
        self._fresh = False
        self._still = 0.0  # s, for which nothing has moved or could
        self._notice()

    @property
    def resting(self) -> bool:
        """Return whether all servos are limp and at rest, so that nothing changes by itself."""
        return self._still >= REST_TIME and not any(servo.torque for servo in self.servos)

    def skip(self, now: float) -> None:
        """Advance the time to `now`, s, at rest, where servos only cool."""
        skipped = now - self.time
        if skipped > 0.0:
            self._start += skipped
            still = np.zeros_like(self.temperature)
            self.temperature = self.config.thermal.heat(self.temperature, still, skipped)

    @property
    def time(self) -> float:
        """Return the time to which the servos have been advanced, s."""
        return self._start + self._steps * self.physics.period

    def advance(self, now: float) -> None:
        """Advance the servos to the time `now`, s; an earlier time has no effect."""
        due = int((now - self._start) / self.physics.period + 1e-6)
        if self._steps < due:
            self._notice()
        while self._steps < due:
            self._step()

    def refresh(self) -> None:
        """Write the measurements into the tables."""
        self._notice()
        if not self._fresh:
            self._publish()
            self._fresh = True

    # Goals

    def _notice(self) -> None:
        """Load changed registers from the tables."""
        for i, servo in enumerate(self.servos):
            if servo.changed or servo.rebooted:
                self._fresh = False
                self._take_settings(i, servo)
            if servo.rebase:
                self._rebase(i, servo)
            if servo.goal_reset:
                self._reset_goal(i, servo)
            if servo.goal_changed:
                servo.goal_changed = False
                self.settings.goal[i] = servo.table.get("goal_position")
                self._begin_profile(i, servo)

    def _take_settings(self, i: int, servo: Servo) -> None:
        was_on = self.settings.torque[i]
        if servo.rebooted:
            self.settings.base[i] = 0.0
            self._strained[i] = 0.0
            servo.rebase, was_on = True, False
        self.settings.load(i, servo)
        servo.changed = servo.rebooted = False
        if self.settings.torque[i] and not was_on:
            servo.goal_changed = True
            self._trajectory[i] = self._position()[i]
            self._speed[i] = 0.0

    def _rebase(self, i: int, servo: Servo) -> None:
        """Discard whole turns, so that the position without homing offset is within one turn."""
        servo.rebase = self._fresh = False
        settings = self.settings
        bare = self._position()[i] - settings.offset[i]
        turns = np.floor((round(bare) + 0.0) / TICKS_PER_TURN) * TICKS_PER_TURN
        settings.base[i] += turns * settings.sign[i]
        self._trajectory[i] -= turns

    def _reset_goal(self, i: int, servo: Servo) -> None:
        servo.goal_reset = self._fresh = False
        position = round(float(self._position()[i]))
        servo.table.put("goal_position", position)
        self.settings.goal[i] = self._trajectory[i] = position
        self._speed[i] = self._top[i] = self._acceleration[i] = self._kind[i] = 0.0

    def _begin_profile(self, i: int, servo: Servo) -> None:
        settings = self.settings
        if not settings.any_profile:
            return
        way = float(settings.goal[i] - self._trajectory[i])
        if settings.timed[i]:
            top, acceleration = profile.timed(way, settings.span[i], settings.rise[i])
        else:
            top, acceleration = float(settings.top[i]), float(settings.acceleration[i])
        self._top[i], self._acceleration[i] = top, acceleration
        self._kind[i] = profile.shape(way, top, acceleration) if servo.torque else profile.NONE

    # Time

    def _step(self) -> None:
        settings, dt = self.settings, self.physics.period
        self._steps += 1
        self._fresh = False
        self._watch_bus(self.time)
        self._plan(dt)
        turning = settings.velocity_mode
        goals = Goals(
            mode=settings.mode,
            position=self._angle(self._trajectory),
            velocity=self._speed * RAD_PER_TICK * settings.sign,
            torque=settings.goal_torque * settings.sign,
            duty=settings.goal_duty * settings.sign,
            max_torque=settings.max_torque,
            max_duty=settings.max_duty,
            position_gains=settings.position_gains,
            velocity_gains=settings.velocity_gains,
            voltage=self.voltage / settings.nominal,
        )
        if not self.wear.none:
            goals = self.wear.worn(goals, self.motion.position)
        self.motion = self.physics.advance(goals)
        if turning.any():
            self._trajectory = np.where(turning, self._position(), self._trajectory)
        if self._steps % self._house == 0:
            self._keep_house(dt * self._house)

    def _plan(self, dt: float) -> None:
        """Advance the trajectories of servos with torque by one step."""
        settings = self.settings
        if not settings.any_profile:
            self._trajectory = np.where(settings.torque, settings.goal, self._trajectory)
            self._speed = np.zeros_like(self._speed)
            return
        position, speed = profile.follow(
            self._trajectory, self._speed, settings.goal, self._top, self._acceleration, dt
        )
        turning = profile.ramp(self._speed, settings.goal_speed, settings.acceleration, dt)
        speed = np.where(settings.velocity_mode, turning, speed)
        self._trajectory = np.where(settings.torque, position, self._trajectory)
        self._speed = np.where(settings.torque, speed, 0.0)

    def _watch_bus(self, now: float) -> None:
        """Stop servos whose bus watchdog has timed out."""
        settings = self.settings
        if not settings.any_watchdog:
            return
        late = settings.torque & (settings.watchdog > 0)
        late &= now - self.heard > settings.watchdog * WATCHDOG_S_PER_COUNT
        for i in np.flatnonzero(late):
            self._stop(int(i))
        if late.any():
            self._notice()

    def _stop(self, i: int) -> None:
        """Hold the position and refuse goals until the watchdog is cleared."""
        table = self.servos[i].table
        table.put("bus_watchdog", -1)
        table.put("profile_velocity", 0)
        table.put("profile_acceleration", 0)
        mode = self.servos[i].mode
        if mode == OperatingMode.VELOCITY:
            table.put("goal_velocity", 0)
        elif mode == OperatingMode.CURRENT:
            table.put("goal_current", 0)
        elif mode == OperatingMode.PWM:
            table.put("goal_pwm", 0)
        else:
            self.servos[i].goal_reset = True
        self.servos[i].changed = True

    def _keep_house(self, dt: float) -> None:
        """Update temperature, voltage and overload; set hardware errors beyond the limits."""
        config, settings, motion = self.config, self.settings, self.motion
        calm = not settings.torque.any() and (np.abs(motion.velocity) < REST_SPEED).all()
        self._still = self._still + dt if calm else 0.0
        load = motion.torque / settings.stall_torque
        self.temperature = config.thermal.heat(self.temperature, load, dt)
        current = np.abs(load) * settings.stall_current
        self.voltage = np.maximum(self.supply - config.wiring * current.sum(), 0.0)
        off = self.supply < np.minimum(config.reset_voltage, RESET_PART * settings.nominal)
        for i in np.flatnonzero(off):  # they boot when the voltage returns
            self.servos[i].reboot(self.time)
        strained = np.abs(load) > config.overload
        self._strained = np.where(strained, self._strained + dt, 0.0)
        low, high = settings.voltage_limits
        # Registers and limits count tenths of a volt.
        volts = np.rint(self.voltage / VOLT_PER_COUNT)
        for wrong, error in (
            (self.temperature > settings.temperature_limit, HardwareError.OVERHEATING),
            ((volts < low) | (volts > high), HardwareError.INPUT_VOLTAGE),
            (self._strained > config.overload_s, HardwareError.OVERLOAD),
        ):
            for i in np.flatnonzero(wrong & ~off):
                if not self.servos[i].errors & error:
                    self.servos[i].raise_error(error)
        self._notice()

    # Measurements

    def _position(self) -> Array:
        """Return the positions in counts of the servos, (n,)."""
        settings = self.settings
        horn = self.motion.position / RAD_PER_TICK - settings.base
        position: Array = settings.sign * (horn - MIDDLE) + MIDDLE + settings.offset
        return position

    def _angle(self, position: Array) -> Array:
        """Return the angles of the horns, rad, for positions in counts of the servos."""
        settings = self.settings
        horn = settings.sign * (position - settings.offset - MIDDLE) + MIDDLE
        angle: Array = (horn + settings.base) * RAD_PER_TICK
        return angle

    def _publish(self) -> None:
        settings, motion = self.settings, self.motion
        sign = settings.sign
        position = self._position()
        velocity = sign * motion.velocity / RAD_S_PER_COUNT
        ongoing = profile.moving(self._trajectory, settings.goal, self._top) & settings.torque
        ongoing &= settings.position_mode
        moving = (np.abs(velocity) > settings.moving_threshold) | ongoing
        near = np.abs(settings.goal - position) <= IN_POSITION_TICKS
        behind = np.abs(self._trajectory - position) > FOLLOWING_TICKS
        status = np.where(ongoing, ONGOING + self._kind, 0.0)
        status += (near & settings.position_mode) * IN_POSITION
        status += (behind & settings.position_mode & settings.torque) * FOLLOWING
        load = sign * motion.torque / settings.stall_torque * settings.load_scale
        columns = self._columns
        columns[0], columns[1] = moving, status
        columns[2] = sign * motion.duty / PWM_PER_COUNT
        columns[3], columns[4], columns[5] = load, velocity, position
        columns[6] = self._speed * COUNT_S_PER_TICK_S
        columns[7] = self._trajectory
        columns[8] = self.voltage / VOLT_PER_COUNT
        columns[9] = np.minimum(self.temperature, MAX_TEMPERATURE)
        rows = np.rint(columns).astype(np.int64).T.tolist()
        now = self.time
        for servo, row in zip(self.servos, rows, strict=True):
            tick = int((now - servo.booted_at) * 1000) % TICK_RANGE
            PRESENT.pack_into(servo.table.memory, PRESENT_START, tick, *row)
