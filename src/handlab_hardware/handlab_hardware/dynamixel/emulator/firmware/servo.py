"""Emulated servo: effects of instructions, and answers.

`loop` computes the motion: it reads goals from the servo's table and writes present values into it.
The word "chosen" marks behaviour that the manual leaves open.
"""

from dataclasses import dataclass

from handlab_hardware.dynamixel.emulator.firmware.packet import Alert, Error
from handlab_hardware.dynamixel.emulator.firmware.table import (
    FACTORY_BAUD,
    GOALS,
    TORQUE_ON_BY_GOAL,
    ControlTable,
    Writes,
)
from handlab_hardware.dynamixel.protocol.models import ServoModel
from handlab_hardware.dynamixel.protocol.registers import (
    BAUD_RATES,
    REGISTERS,
    RETURN_DELAY_S_PER_COUNT,
    HardwareError,
    OperatingMode,
    Register,
)

FIRMWARE = 46
"""Firmware version of a new servo, with fast reads and the control table backup."""

BOOT_S = 0.25
"""s; silence after power-on or a reboot; chosen, since the manual gives no figure."""

CLEAR_TURNS = b"\x01\x44\x58\x4c\x22"
BACKUP_STORE, BACKUP_RESTORE = b"\x01CTRL", b"\x02CTRL"
RESET_ALL, RESET_KEEP_ID, RESET_KEEP_ID_AND_BAUD = 0xFF, 0x01, 0x02

NO_BROADCAST_RESET_FIRMWARE = 42
MAX_SECONDARY_ID = 252

STARTUP_TORQUE_ON, STARTUP_RAM_RESTORE = 0b01, 0b10

BAUD_OF = {value: baud for baud, value in BAUD_RATES.items()}

RAM_START = REGISTERS["torque_enable"].address


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to an instruction: error code, without the alert bit, and parameters."""

    error: Error
    params: bytes = b""


class Servo:
    """Memory and protocol of one servo.

    Args:
        model: model of the servo.
        id: id on the bus.
        baud: speed that the servo is set to, bit/s.
        firmware: firmware version.
        now: time of power-on, s.
    """

    def __init__(
        self,
        model: ServoModel,
        id: int,
        baud: int = FACTORY_BAUD,
        firmware: int = FIRMWARE,
        now: float = 0.0,
    ) -> None:
        self.model, self.firmware = model, firmware
        self.table = ControlTable(model, firmware)
        self.table.put("id", id)
        self.table.put("baud_rate", BAUD_RATES[baud])
        self._backup: bytes | None = None
        self._boot(now)
        self.ready_at = now

    def _boot(self, now: float) -> None:
        """Power on: keep the EEPROM and reset the RAM."""
        table = self.table
        eeprom = bytes(table.memory[:RAM_START])
        table.memory[RAM_START:] = bytes(len(table.memory) - RAM_START)
        for name, value in table.map.defaults().items():
            table.put(name, value)
        table.memory[:RAM_START] = eeprom
        table.put("firmware_version", self.firmware)
        table.put("backup_ready", int(self._backup is not None))
        self._reset_mode()
        table.relink()
        self.registered: tuple[int, bytes] | None = None
        self.errors = HardwareError(0)
        self.shut_down = False
        self.booted_at, self.ready_at = now, now + BOOT_S
        self.torque = False
        self.changed = self.goal_changed = self.rebase = self.rebooted = True
        """Notes to the control loop: the table changed; a goal was written; whole turns are lost;
        the RAM was reset."""
        self._remember()
        startup = table.get("startup_configuration")
        if startup & STARTUP_RAM_RESTORE and self._backup is not None:
            self._restore_ram()
        if startup & STARTUP_TORQUE_ON:
            self._set_torque(True)

    def _remember(self) -> None:
        """Cache the registers that every packet needs."""
        table = self.table
        self.id, self.secondary_id = table.get("id"), table.get("secondary_id")
        self.baud = BAUD_OF[table.get("baud_rate")]
        self.return_delay = RETURN_DELAY_S_PER_COUNT * table.get("return_delay_time")  # s
        self.return_level = table.get("status_return_level")
        self.mode = OperatingMode(table.get("operating_mode"))
        self.speaks = table.get("protocol_type") == 2  # Protocol 2.0

    @property
    def alert(self) -> int:
        """Return the alert bit for a status packet."""
        return Alert.HARDWARE if self.errors else 0

    @property
    def reads_fast(self) -> bool:
        """Return whether the firmware supports fast sync and fast bulk read."""
        return self.firmware >= self.model.fast_sync_read_firmware

    def hears(self, baud: int, now: float) -> bool:
        """Return whether the servo receives packets at this speed, bit/s, and time, s."""
        return self.baud == baud and now >= self.ready_at and self.speaks

    def light(self, now: float) -> bool:
        """Return whether the LED is lit; after a shutdown it flickers every second."""
        if self.shut_down:
            return bool(int(now) % 2)
        return bool(self.table.get("led"))

    # Instructions

    def ping(self) -> Answer:
        """Return model and firmware."""
        return Answer(Error.NONE, bytes(self.table.memory[:2]) + bytes((self.firmware,)))

    def read(self, address: int, length: int) -> Answer:
        """Read bytes of the table."""
        return Answer(*self.table.read(address, length))

    def write(self, address: int, data: bytes, as_second: bool = False) -> Answer:
        """Write bytes to the table; with an error, write nothing.

        Args:
            address: address of the first byte.
            data: bytes to write.
            as_second: whether the packet had the secondary id, which locks the EEPROM.
        """
        error, writes = self._plan(address, data, as_second)
        for register, value in writes:
            self._store(register, value)
        if self.changed:
            self._remember()
        return Answer(error)

    def register(self, address: int, data: bytes, as_second: bool = False) -> Answer:
        """Register a write for the next action instruction."""
        error, _ = self._plan(address, data, as_second)
        if not error:
            self.registered = (address, data)
            self.table.put("registered_instruction", 1)
        return Answer(error)

    def action(self) -> Answer:
        """Execute the registered write."""
        if self.registered is None:
            return Answer(Error.INSTRUCTION)
        (address, data), self.registered = self.registered, None
        self.table.put("registered_instruction", 0)
        return self.write(address, data)

    def reboot(self, now: float) -> Answer:
        """Restart the servo after its answer."""
        self._boot(now)
        return Answer(Error.NONE)

    def factory_reset(self, option: int, now: float, broadcast: bool = False) -> Answer:
        """Reset the table to factory values and restart."""
        kept = {
            RESET_ALL: (),
            RESET_KEEP_ID: ("id",),
            RESET_KEEP_ID_AND_BAUD: ("id", "baud_rate"),
        }.get(option)
        if kept is None:
            return Answer(Error.DATA_RANGE)
        if broadcast and not kept and self.firmware >= NO_BROADCAST_RESET_FIRMWARE:
            return Answer(Error.NONE)
        values = {name: self.table.get(name) for name in kept}
        self.table = ControlTable(self.model, self.firmware)
        for name, value in values.items():
            self.table.put(name, value)
        self._boot(now)
        return Answer(Error.NONE)

    def clear(self, params: bytes) -> Answer:
        """Discard whole turns; refuse while the servo moves."""
        if params != CLEAR_TURNS:
            return Answer(Error.DATA_RANGE)
        if self.table.get("moving"):
            return Answer(Error.RESULT_FAIL)
        self.rebase = self.goal_reset = True
        return Answer(Error.NONE)

    def back_up(self, params: bytes, now: float) -> Answer:
        """Store the table, or restore it and restart."""
        if self.firmware < self.model.fast_sync_read_firmware:
            return Answer(Error.INSTRUCTION)
        if params not in (BACKUP_STORE, BACKUP_RESTORE):
            return Answer(Error.DATA_RANGE)
        if self.torque:
            return Answer(Error.RESULT_FAIL)
        if params == BACKUP_STORE:
            self._backup = bytes(self.table.memory)
            self.table.put("backup_ready", 1)
        elif self._backup is None:
            return Answer(Error.RESULT_FAIL)
        else:
            self.table.memory[:RAM_START] = self._backup[:RAM_START]
            self._boot(now)
            self._restore_ram()
        return Answer(Error.NONE)

    # Effects

    def _plan(self, address: int, data: bytes, as_second: bool) -> tuple[Error, Writes]:
        error, writes = self.table.plan(address, data, self.torque or as_second)
        if self.shut_down and any(r.name == "torque_enable" and value for r, value in writes):
            # Chosen; the manual only demands a reboot.
            return Error.RESULT_FAIL, []
        return error, writes

    def _store(self, register: Register, value: int) -> None:
        name = register.name
        self.table.put(name, value)
        if name == "goal_position":
            self._goal_written(name)
            return
        self.changed = True
        if name in GOALS:
            self._goal_written(name)
        elif name == "torque_enable":
            self._set_torque(bool(value))
        elif name == "operating_mode":
            self._reset_mode()
            self.rebase = self.rebase or value == OperatingMode.POSITION
        elif name.startswith("indirect_address"):
            self.table.relink()

    def _goal_written(self, name: str) -> None:
        if name == "goal_position":
            self.goal_changed, self.goal_reset = True, False
        if (
            not self.torque
            and not self.shut_down
            and self.table.get("drive_mode") & TORQUE_ON_BY_GOAL
        ):
            self._set_torque(True)

    def _set_torque(self, on: bool) -> None:
        if on and not self.torque and self.mode == OperatingMode.POSITION:
            self.rebase = True
        self.torque, self.changed = on, True
        self.table.put("torque_enable", int(on))

    def _reset_mode(self) -> None:
        """Reset gains, profile and goals, as a change of the operating mode does."""
        table, model = self.table, self.model
        mode = table.get("operating_mode")
        d, i, p = model.gains
        table.put("position_d_gain", d)
        table.put("position_i_gain", i)
        table.put("position_p_gain", p)
        table.put("velocity_i_gain", model.velocity_gains[0])
        table.put("velocity_p_gain", model.velocity_gains[1])
        table.put("feedforward_1st_gain", 0)
        table.put("feedforward_2nd_gain", 0)
        table.put("profile_velocity", 0)
        table.put("profile_acceleration", 0)
        table.put("goal_pwm", table.get("pwm_limit"))
        still = mode == OperatingMode.VELOCITY
        table.put("goal_velocity", 0 if still else table.get("velocity_limit"))
        if "goal_current" in table:
            table.put("goal_current", table.get("current_limit"))
        self.goal_reset = True
        """Note to the control loop: set the goal position to the present position."""

    def raise_error(self, error: HardwareError) -> None:
        """Set bits of the hardware error status; bits of `shutdown` turn the torque off."""
        self.errors |= error
        self.table.put("hardware_error_status", int(self.errors))
        if self.errors & self.table.get("shutdown"):
            self.shut_down = True
            self._set_torque(False)

    def _restore_ram(self) -> None:
        """Restore the settings in RAM from the backup, without goals and states."""
        assert self._backup is not None
        for register in self.table.map.registers.values():
            name = register.name
            kept = register.address >= RAM_START and register.writable
            if kept and name not in GOALS and name not in ("torque_enable", "bus_watchdog"):
                where = slice(register.address, register.end)
                self.table.memory[where] = self._backup[where]
        self.table.relink()
        self._remember()
