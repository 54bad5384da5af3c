"""Physics behind emulated servos: its interface, and free servos.

Angles are those of the servo's horn, rad, over many turns. The encoder's zero is 0 and the middle
of its range pi, independent of drive mode and homing offset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from handlab_core.hands.servo import (
    ServoParameters,
    after_friction,
    dynamixel_servos,
    motor_torque,
)
from handlab_core.types import Array, BoolArray, IntArray
from handlab_hardware.dynamixel.protocol.models import ServoModel
from handlab_hardware.dynamixel.protocol.registers import OperatingMode


@dataclass(frozen=True, slots=True)
class Goals:
    """Goals of the firmware, (n,) each; gains are those of the firmware's controllers."""

    mode: IntArray  # values of OperatingMode
    position: Array  # rad; trajectory
    velocity: Array  # rad/s; trajectory
    torque: Array  # N m; goal in current mode
    duty: Array  # -1..1 of full voltage; goal in PWM mode
    max_torque: Array  # N m; 0: torque is off
    max_duty: Array  # 0..1
    position_gains: Array  # (3, n) duty per rad s, per rad/s and per rad: I, D, P
    velocity_gains: Array  # (2, n) duty per rad and per rad/s: I, P
    voltage: Array  # of nominal


@dataclass(frozen=True, slots=True)
class Motion:
    """Measurements of the servos, (n,) each."""

    position: Array  # rad
    velocity: Array  # rad/s
    torque: Array  # N m; motor torque
    duty: Array  # -1..1


class Physics(Protocol):
    """Dynamics of the bodies that servos turn."""

    period: float
    """s; length of one step of `advance`."""

    def advance(self, goals: Goals) -> Motion:
        """Advance by one period with these goals; return the measurements at its end."""
        ...

    def read(self) -> Motion:
        """Return the present measurements."""
        ...


LINK_INERTIA = 1e-3
"""kg m2; inertia of a light link on the horn; chosen."""
PERIOD = 1e-3
"""s; step of free servos, also the period of the firmware's PID; chosen."""


def servos_of(models: Sequence[ServoModel]) -> ServoParameters:
    """Return the parameters of servos with their factory gains."""
    return dynamixel_servos(
        np.array([model.stall_torque for model in models]),
        np.array([model.no_load_speed for model in models]),
        np.array([float(model.gains[2]) for model in models]),
    )


class ServoPhysics:
    """Free second-order servos: DC motors with the firmware's PID controllers.

    torque = stall torque * (duty * voltage - speed / no-load speed), limited by the current limit.

    Args:
        models: model of each servo.
        servos: parameters of the servos; None: those of their models.
        start: rad; first position of all horns.
    """

    def __init__(
        self,
        models: Sequence[ServoModel],
        servos: ServoParameters | None = None,
        start: float = np.pi,
    ) -> None:
        servos, n = servos or servos_of(models), len(models)
        self.period = PERIOD
        self._stall = np.array([model.stall_torque for model in models])
        self._no_load = np.array([model.no_load_speed for model in models])
        inertia = servos.armature + LINK_INERTIA
        self._friction = servos.coulomb * self.period / inertia
        self._gain = self.period / inertia
        self._viscous = servos.viscous
        self._integral = np.zeros(n)  # duty; integral part of the controllers
        self._motion = Motion(np.full(n, start), np.zeros(n), np.zeros(n), np.zeros(n))
        self.load = np.zeros(n)
        """(n,) N m; external torques on the horns."""

    def read(self) -> Motion:
        """See `Physics.read`."""
        return self._motion

    def place(self, position: Array) -> None:
        """Set the positions of the horns, (n,) rad, at rest."""
        n = len(position)
        self._motion = Motion(position.copy(), np.zeros(n), np.zeros(n), np.zeros(n))

    def advance(self, goals: Goals) -> Motion:
        """See `Physics.advance`."""
        q, v = self._motion.position, self._motion.velocity
        on = goals.max_torque > 0.0
        duty = np.minimum(np.maximum(self._duty(goals, on), -goals.max_duty), goals.max_duty)
        torque = motor_torque(duty, v, self._stall, self._no_load, goals.voltage)
        torque = np.minimum(np.maximum(torque, -goals.max_torque), goals.max_torque)
        push = torque + self.load - self._viscous * v
        v = v + self._gain * push
        v = after_friction(v, self._friction)
        self._motion = Motion(q + self.period * v, v, torque, duty * on)
        return self._motion

    def _duty(self, goals: Goals, on: BoolArray) -> Array:
        """Return the duty of the controllers; saturation stops their integrals."""
        q, v, mode = self._motion.position, self._motion.velocity, goals.mode
        error, slip = goals.position - q, goals.velocity - v
        i, d, p = goals.position_gains
        vi, vp = goals.velocity_gains
        free = on & (np.abs(self._motion.duty) < goals.max_duty)
        turning = mode == OperatingMode.VELOCITY
        rate = np.where(turning, vi * slip, i * error)
        self._integral = (self._integral + self.period * rate * free) * on
        duty: Array = np.where(turning, vp * slip, p * error + d * slip) + self._integral
        direct = (mode == OperatingMode.PWM) | (mode == OperatingMode.CURRENT)
        if direct.any():
            current = goals.torque / self._stall + v / self._no_load
            wanted = np.where(mode == OperatingMode.PWM, goals.duty, current)
            duty = np.where(direct, wanted, duty)
        return duty
