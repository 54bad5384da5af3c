"""Control table of one emulated servo: memory, and the rules for reading and writing it."""

from functools import cache

from handlab_hardware.dynamixel.emulator.firmware.packet import MAX_ID, Error
from handlab_hardware.dynamixel.protocol.models import ServoModel
from handlab_hardware.dynamixel.protocol.registers import (
    BAUD_RATES,
    MAX_GAIN,
    REGISTERS,
    TABLE_SIZE,
    OperatingMode,
    Register,
)

FACTORY_ID = 1
FACTORY_BAUD = 57_600  # bit/s
MAX_TURNS_TICKS = 1_048_575
"""counts; largest goal position, 256 turns; _includes/en/dxl/control_table_goal_position_2.md."""
MAX_PROFILE = 32_767
REVERSE, TIME_BASED, TORQUE_ON_BY_GOAL = 0b0001, 0b0100, 0b1000  # bits of drive_mode

CURRENT_REGISTERS = frozenset(("current_limit", "goal_current"))
"""Registers that models without a current sensor lack."""

_RANGES = {
    "id": (0, MAX_ID),
    "return_delay_time": (0, 254),
    "homing_offset": (-1_044_479, 1_044_479),
    "moving_threshold": (0, 1023),
    "temperature_limit": (0, 100),
    "pwm_limit": (0, 885),
    "max_position_limit": (0, 4095),
    "min_position_limit": (0, 4095),
    "startup_configuration": (0, 3),
    "pwm_slope": (1, 255),
    "torque_enable": (0, 1),
    "led": (0, 1),
    "status_return_level": (0, 2),
    "velocity_i_gain": (0, MAX_GAIN),
    "velocity_p_gain": (0, MAX_GAIN),
    "position_d_gain": (0, MAX_GAIN),
    "position_i_gain": (0, MAX_GAIN),
    "position_p_gain": (0, MAX_GAIN),
    "feedforward_2nd_gain": (0, MAX_GAIN),
    "feedforward_1st_gain": (0, MAX_GAIN),
    "bus_watchdog": (0, 127),
    "profile_acceleration": (0, MAX_PROFILE),
    "profile_velocity": (0, MAX_PROFILE),
    "goal_position": (-MAX_TURNS_TICKS, MAX_TURNS_TICKS),
}
"""Range of each register; e-manual, control tables; other values cause a data range error."""

_LIMITED_BY = {
    "goal_pwm": "pwm_limit",
    "goal_current": "current_limit",
    "goal_velocity": "velocity_limit",
}
"""Goal register to the register that limits it; larger values cause a data limit error."""

_RULING = frozenset(
    ("operating_mode", "bus_watchdog", "min_position_limit", "max_position_limit")
) | frozenset(_LIMITED_BY.values())
"""Registers that determine the ranges of goals."""

GOALS = frozenset(("goal_pwm", "goal_current", "goal_velocity", "goal_position"))

FIRST_INDIRECT_TARGET = 64  # smallest address that an indirect address may name

LATER = frozenset(("startup_configuration", "backup_ready"))
"""Registers of firmware with fast reads only."""


class RegisterMap:
    """Registers of one model, by name, and the register that owns each byte."""

    def __init__(self, model: ServoModel) -> None:
        self.model = model
        absent = CURRENT_REGISTERS if model.current_limit is None else frozenset()
        if model.pwm_slope is None:
            absent |= {"pwm_slope"}
        self.registers = {name: r for name, r in REGISTERS.items() if name not in absent}
        self.indirect: dict[int, int] = {}
        """Address of an indirect data byte to the address of its indirect address."""
        self.size = max(data + count for _, data, count in model.indirect)
        """bytes; size of the table."""
        for address, data, count in model.indirect:
            for i in range(count):
                self._add(Register(f"indirect_address_{address + 2 * i}", address + 2 * i, 2, True))
                self._add(Register(f"indirect_data_{data + i}", data + i, 1, True))
                self.indirect[data + i] = address + 2 * i
        self.owner: list[Register | None] = [None] * TABLE_SIZE
        for register in self.registers.values():
            self.owner[register.address : register.end] = [register] * register.size
        self.ranges = _RANGES | {
            "max_voltage_limit": model.voltage_limits,
            "min_voltage_limit": model.voltage_limits,
            "current_limit": (0, model.current_limit or 0),
            "velocity_limit": (0, model.velocity_limit_most),
            "protocol_type": model.protocols,
            "baud_rate": (0, model.baud_rate_most),
        }

    def _add(self, register: Register) -> None:
        self.registers[register.name] = register

    def defaults(self) -> dict[str, int]:
        """Return the factory values of registers that are not zero."""
        model = self.model
        values = {
            "model_number": model.number,
            "id": FACTORY_ID,
            "baud_rate": BAUD_RATES[FACTORY_BAUD],
            "return_delay_time": 250,
            "operating_mode": OperatingMode.POSITION,
            "secondary_id": 255,
            "protocol_type": 2,
            "moving_threshold": 10,
            "temperature_limit": model.temperature_limit,
            "max_voltage_limit": model.voltage_limits[1],
            "min_voltage_limit": model.voltage_limits[0],
            "pwm_limit": 885,
            "velocity_limit": model.velocity_limit,
            "max_position_limit": 4095,
            "shutdown": model.shutdown,
            "status_return_level": 2,
        }
        if model.current_limit is not None:
            values["current_limit"] = model.current_limit
        if model.pwm_slope is not None:
            values["pwm_slope"] = model.pwm_slope
        for data, address in self.indirect.items():
            values[f"indirect_address_{address}"] = data
        return values


@cache
def register_map(model: ServoModel) -> RegisterMap:
    """Return the cached register map of a model."""
    return RegisterMap(model)


Writes = list[tuple[Register, int]]


class ControlTable:
    """Memory of one servo, with the rules of its model's register map.

    Args:
        model: model of the servo.
        firmware: firmware version; older versions have fewer registers and drive modes.
    """

    def __init__(self, model: ServoModel, firmware: int) -> None:
        self.map = register_map(model)
        later = firmware >= model.fast_sync_read_firmware
        self._missing = frozenset() if later else LATER
        self._drive_modes = REVERSE
        if firmware >= model.timed_profile_firmware:
            self._drive_modes |= TIME_BASED
        if later:
            self._drive_modes |= TORQUE_ON_BY_GOAL
        self.memory = bytearray(TABLE_SIZE)
        self._registers = self.map.registers
        self._rules: dict[str, tuple[int, int, Error]] = {}
        """Cached ranges of goals, since most writes are goals."""
        self.linked = False
        """Whether an indirect address points elsewhere than to its own data."""
        for name, value in self.map.defaults().items():
            self.put(name, value)

    def __contains__(self, name: str) -> bool:
        return name in self._registers

    def get(self, name: str) -> int:
        """Return the value of a register."""
        r = self._registers[name]
        at = r.address
        return int.from_bytes(self.memory[at : at + r.size], "little", signed=r.signed)

    def put(self, name: str, value: int) -> None:
        """Set a register without checks, as the firmware itself does."""
        r = self._registers[name]
        self.memory[r.address : r.end] = int(value).to_bytes(r.size, "little", signed=r.signed)
        if name in _RULING:
            self._rules.clear()

    def read(self, address: int, length: int) -> tuple[Error, bytes]:
        """Return error code and data of a read instruction.

        A read must begin at a byte of a register and end within the table. Gaps between registers
        read as zeros.
        """
        end = address + length
        if not length or end > self.map.size or self.map.owner[address] is None:
            return Error.ACCESS, b""
        if not self.linked:
            return Error.NONE, bytes(self.memory[address:end])
        return Error.NONE, bytes(self.memory[self._target(a)] for a in range(address, end))

    def _target(self, address: int) -> int:
        """Return the address of the byte that an address, direct or indirect, stands for."""
        pointer = self.map.indirect.get(address)
        if pointer is None:
            return address
        return self.memory[pointer] | self.memory[pointer + 1] << 8

    def plan(self, address: int, data: bytes, locked: bool) -> tuple[Error, Writes]:
        """Check a write instruction without executing it.

        Args:
            address: first address.
            data: bytes of whole registers without gaps.
            locked: whether torque is on, which locks the EEPROM.

        Returns:
            Error code, and the writes to registers.
        """
        writes: Writes = []
        for start, run in self._resolve(address, data):
            error = self._split(start, run, locked, writes)
            if error:
                return error, []
        for register, value in writes:
            error = self._check_value(register.name, value)
            if error:
                return error, []
        return Error.NONE, writes

    def _resolve(self, address: int, data: bytes) -> list[tuple[int, bytes]]:
        """Split a write to indirect data into writes to its targets."""
        if not self.linked or address + len(data) > self.map.size:
            return [(address, data)]
        runs: list[tuple[int, bytearray]] = []
        for i, byte in enumerate(data):
            target = self._target(address + i)
            if runs and target == runs[-1][0] + len(runs[-1][1]):
                runs[-1][1].append(byte)
            else:
                runs.append((target, bytearray((byte,))))
        return [(start, bytes(run)) for start, run in runs]

    def _split(self, address: int, data: bytes, locked: bool, writes: Writes) -> Error:
        """Append writes to all registers that the bytes cover; return an error code."""
        at, end = address, address + len(data)
        if at >= end:
            return Error.DATA_LENGTH
        while at < end:
            register = self.map.owner[at] if at < TABLE_SIZE else None
            if register is None or not register.writable or (locked and register.eeprom):
                return Error.ACCESS
            if register.name in self._missing:
                return Error.ACCESS
            stop = at + register.size
            if register.address != at or stop > end:
                return Error.DATA_LENGTH
            raw = data[at - address : stop - address]
            writes.append((register, int.from_bytes(raw, "little", signed=register.signed)))
            at = stop
        return Error.NONE

    def _check_value(self, name: str, value: int) -> Error:
        if name in GOALS:
            return self._check_goal(name, value)
        if name in self.map.ranges:
            low, high = self.map.ranges[name]
            good = low <= value <= high
        elif name == "operating_mode":
            good = value in self.map.model.modes
        elif name.startswith("indirect_address"):
            good = FIRST_INDIRECT_TARGET <= value < self.map.size
        else:
            good = True
        if name == "drive_mode":
            good = not value & ~self._drive_modes
        elif name == "bus_watchdog":  # only 0 clears its error
            good = good and not (value and self.get(name) < 0)
        return Error.NONE if good else Error.DATA_RANGE

    def _check_goal(self, name: str, value: int) -> Error:
        if name not in self._rules:
            self._rules[name] = self._goal_rule(name)
        low, high, error = self._rules[name]
        return Error.NONE if low <= value <= high else error

    def _goal_rule(self, name: str) -> tuple[int, int, Error]:
        """Return the range of a goal, and the error code of values beyond it."""
        if self.get("bus_watchdog") < 0:
            return 0, -1, Error.DATA_RANGE  # an empty range until the watchdog is cleared
        if name in _LIMITED_BY:
            limit = self.get(_LIMITED_BY[name])
            return -limit, limit, Error.DATA_LIMIT
        if self.get("operating_mode") == OperatingMode.POSITION:
            low, high = self.get("min_position_limit"), self.get("max_position_limit")
            return low, high, Error.DATA_LIMIT
        return *self.map.ranges[name], Error.DATA_RANGE

    def relink(self) -> None:
        """Update `linked`; call this method after a write to an indirect address."""
        self.linked = any(self._target(data) != data for data in self.map.indirect)
