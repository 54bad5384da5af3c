"""What is behind the servos: a motor each, or whatever else turns when it is told to.

Angles are those of the servo's horn [rad], counted on over turns; the encoder's zero is 0 and the
middle of its range pi, whatever drive mode and homing offset say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from handlab_core.types import Array, BoolArray, IntArray
from handlab_hardware.dynamixel.protocol.models import ServoModel
from handlab_hardware.dynamixel.protocol.registers import OperatingMode


@dataclass(frozen=True, slots=True)
class Goals:
    """What the servos' firmware wants, (n,) each; `gains` as in the firmware's controllers."""

    mode: IntArray  # of OperatingMode
    position: Array  # rad, of the trajectory
    velocity: Array  # rad/s, of the trajectory
    torque: Array  # N m, wanted in current mode
    duty: Array  # -1..1 of full voltage, wanted in PWM mode
    max_torque: Array  # N m; 0: torque is off
    max_duty: Array  # 0..1
    position_gains: Array  # (3, n) duty per rad s, per rad/s and per rad: I, D, P
    velocity_gains: Array  # (2, n) duty per rad and per rad/s: I, P
    voltage: Array  # of nominal


@dataclass(frozen=True, slots=True)
class Motion:
    """What the servos measure, (n,) each."""

    position: Array  # rad
    velocity: Array  # rad/s
    torque: Array  # N m of the motor
    duty: Array  # -1..1


class Physics(Protocol):
    """The world as the servos feel it."""

    period: float
    """s, how far `advance` goes."""

    def advance(self, goals: Goals) -> Motion:
        """Go on by one period, with these goals in force, and return what is measured then."""
        ...

    def read(self) -> Motion:
        """Return the present state."""
        ...


@dataclass(frozen=True, slots=True)
class ServoDynamics:
    """The mechanics of a free servo. The vendor publishes none of these: chosen."""

    inertia: float = 2e-3
    """kg m2 at the horn: the armature of ROBEL's model (0.001) and as much for a light link."""
    coulomb: float = 0.03  # of stall torque
    viscous: float = 0.01  # N m s/rad, of the gear; the motor's own is in the back EMF
    period: float = 1e-3  # s, also of the firmware's PID


class ServoPhysics:
    """Free servos of second order: a DC motor each, with the firmware's PID in front.

    torque = stall torque * (duty * voltage - speed / no-load speed), at most the current limit's.
    """

    def __init__(
        self,
        models: Sequence[ServoModel],
        dynamics: ServoDynamics | None = None,
        start: float = np.pi,
    ) -> None:
        dynamics = dynamics or ServoDynamics()
        n = len(models)
        self.period = dynamics.period
        self._stall = np.array([model.stall_torque for model in models])
        self._no_load = np.array([model.no_load_speed for model in models])
        self._friction = dynamics.coulomb * self._stall * self.period / dynamics.inertia
        self._gain = self.period / dynamics.inertia
        self._viscous = dynamics.viscous
        self._integral = np.zeros(n)  # of duty
        self._motion = Motion(np.full(n, start), np.zeros(n), np.zeros(n), np.zeros(n))
        self.load = np.zeros(n)
        """N m that push on the horns from outside, (n,)."""

    def read(self) -> Motion:
        """See `Physics.read`."""
        return self._motion

    def place(self, position: Array) -> None:
        """Turn the horns by hand to where they shall be, (n,) rad."""
        n = len(position)
        self._motion = Motion(position.copy(), np.zeros(n), np.zeros(n), np.zeros(n))

    def advance(self, goals: Goals) -> Motion:
        """See `Physics.advance`."""
        q, v = self._motion.position, self._motion.velocity
        on = goals.max_torque > 0.0
        duty = np.minimum(np.maximum(self._duty(goals, on), -goals.max_duty), goals.max_duty)
        torque = self._stall * (duty * goals.voltage - v / self._no_load)
        torque = np.minimum(np.maximum(torque, -goals.max_torque), goals.max_torque)
        push = torque + self.load - self._viscous * v
        v = v + self._gain * push
        v = np.sign(v) * np.maximum(np.abs(v) - self._friction, 0.0)
        self._motion = Motion(q + self.period * v, v, torque, duty * on)
        return self._motion

    def _duty(self, goals: Goals, on: BoolArray) -> Array:
        """What the controllers ask for; the integrals stand still where they would wind up."""
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
