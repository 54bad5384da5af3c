"""Counts of the control table to SI and back, and integers to bytes and back.

Every pair is inverse, up to the rounding to whole counts. Arrays may have any shape; `zero` and
`direction` belong to the joint a servo moves: `zero` is the servo's angle [rad] where the joint is
at zero, `direction` is 1 or -1. Velocities and torques turn with the joint's direction.
"""

import numpy as np
from numpy.typing import ArrayLike

from handlab_core.types import Array, IntArray
from handlab_hardware.dynamixel.models import ServoModel
from handlab_hardware.dynamixel.registers import (
    RAD_PER_TICK,
    RAD_S_PER_COUNT,
    VOLT_PER_COUNT,
    Register,
)

FULL_LOAD = 1000
"""Counts of `present_current` at full load, on a model that measures load instead of current."""


def ticks_to_rad(ticks: ArrayLike, zero: ArrayLike, direction: ArrayLike) -> Array:
    """Joint position [rad] of a servo's position [counts]."""
    return (_real(ticks) * RAD_PER_TICK - _real(zero)) * _real(direction)


def rad_to_ticks(q: ArrayLike, zero: ArrayLike, direction: ArrayLike) -> IntArray:
    """Servo position [counts] of a joint position [rad], rounded to the nearest."""
    return _whole((_real(q) * _real(direction) + _real(zero)) / RAD_PER_TICK)


def counts_to_velocity(counts: ArrayLike, direction: ArrayLike) -> Array:
    """Joint velocity [rad/s] of a servo's velocity [counts]."""
    return _real(counts) * RAD_S_PER_COUNT * _real(direction)


def torque_per_ampere(model: ServoModel) -> float:
    """Torque constant [N m/A], from torque and current at stall."""
    return model.stall_torque / model.stall_current


def torque_per_count(model: ServoModel) -> float:
    """Torque [N m] of one count of `present_current`, or of the load where there is no current."""
    if model.current_unit is None:
        return model.stall_torque / FULL_LOAD
    return torque_per_ampere(model) * model.current_unit


def counts_to_torque(counts: ArrayLike, per_count: ArrayLike, direction: ArrayLike) -> Array:
    """Joint torque [N m] of a current or load; `per_count` is what `torque_per_count` gives."""
    return _real(counts) * _real(per_count) * _real(direction)


def counts_to_volts(counts: ArrayLike) -> Array:
    """Supply [V] of `present_input_voltage`."""
    return _real(counts) * VOLT_PER_COUNT


def to_bytes(value: int, register: Register) -> bytes:
    """One value as it goes over the wire; OverflowError if the register cannot hold it."""
    return int(value).to_bytes(register.size, "little", signed=register.signed)


def from_bytes(data: bytes, register: Register) -> int:
    """One value as it came over the wire."""
    return int.from_bytes(data[: register.size], "little", signed=register.signed)


def _real(value: ArrayLike) -> Array:
    return np.asarray(value, dtype=np.float64)


def _whole(value: Array) -> IntArray:
    return np.rint(value).astype(np.int64)
