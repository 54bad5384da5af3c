"""Conversion between counts of the control table and SI units, and between integers and bytes.

Arrays may have any shape. `zero` is the servo angle at the joint's zero, rad; `direction` is the
sign of the joint's motion, 1 or -1, also for velocities and torques.
"""

import numpy as np
from numpy.typing import ArrayLike

from handlab_core.types import Array, IntArray
from handlab_hardware.dynamixel.protocol.models import ServoModel
from handlab_hardware.dynamixel.protocol.registers import (
    RAD_PER_TICK,
    RAD_S_PER_COUNT,
    VOLT_PER_COUNT,
    Register,
)

FULL_LOAD = 1000
"""Counts of `present_current` at full load; for models that measure load instead of current."""


def ticks_to_rad(ticks: ArrayLike, zero: ArrayLike, direction: ArrayLike) -> Array:
    """Convert servo positions, counts, to joint positions, rad."""
    return (_real(ticks) * RAD_PER_TICK - _real(zero)) * _real(direction)


def rad_to_ticks(q: ArrayLike, zero: ArrayLike, direction: ArrayLike) -> IntArray:
    """Convert joint positions, rad, to the nearest servo positions, counts."""
    return _whole((_real(q) * _real(direction) + _real(zero)) / RAD_PER_TICK)


def counts_to_velocity(counts: ArrayLike, direction: ArrayLike) -> Array:
    """Convert servo velocities, counts, to joint velocities, rad/s."""
    return _real(counts) * RAD_S_PER_COUNT * _real(direction)


def torque_per_ampere(model: ServoModel) -> float:
    """Return the torque constant, N m/A, from torque and current at stall."""
    return model.stall_torque / model.stall_current


def torque_per_count(model: ServoModel) -> float:
    """Return the torque of one count of `present_current`, N m; of the load without a current."""
    if model.current_unit is None:
        return model.stall_torque / FULL_LOAD
    return torque_per_ampere(model) * model.current_unit


def counts_to_torque(counts: ArrayLike, per_count: ArrayLike, direction: ArrayLike) -> Array:
    """Convert currents or loads, counts, to joint torques, N m.

    `per_count` comes from `torque_per_count`.
    """
    return _real(counts) * _real(per_count) * _real(direction)


def counts_to_volts(counts: ArrayLike) -> Array:
    """Convert `present_input_voltage`, counts, to volts."""
    return _real(counts) * VOLT_PER_COUNT


def to_bytes(value: int, register: Register) -> bytes:
    """Encode a register value; raise OverflowError if the register cannot hold it."""
    return int(value).to_bytes(register.size, "little", signed=register.signed)


def from_bytes(data: bytes, register: Register) -> int:
    """Decode a register value."""
    return int.from_bytes(data[: register.size], "little", signed=register.signed)


def _real(value: ArrayLike) -> Array:
    return np.asarray(value, dtype=np.float64)


def _whole(value: Array) -> IntArray:
    return np.rint(value).astype(np.int64)
