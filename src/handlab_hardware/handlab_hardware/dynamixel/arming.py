"""Check a servo and set it up for the driver.

Only values that differ are written: return delay and mode are in the EEPROM, which wears out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from handlab_core.errors import StationFault
from handlab_hardware.dynamixel.failures import (
    OPENING_RETRIES,
    RETRIES,
    WATCHDOG_COUNTS,
    WATCHDOG_OFF,
    PacketLost,
    PortGone,
    ServoRefused,
    error_names,
)
from handlab_hardware.dynamixel.protocol import units
from handlab_hardware.dynamixel.protocol.bus import ServoBus
from handlab_hardware.dynamixel.protocol.registers import REGISTERS, TICKS_PER_TURN, OperatingMode
from handlab_hardware.dynamixel.turns import TurnRange
from handlab_hardware.station_file import CURRENT_BASED_POSITION, Servo

LEAST_FIRMWARE = 38
"""First firmware version with a bus watchdog; e-manual, XM430-W210."""

ANSWER_ALL = 2
"""Value of `status_return_level` with which every instruction is answered."""

BLOCK = REGISTERS["model_number"].address, REGISTERS["profile_velocity"].end
"""First address, and size in bytes, of the registers that are checked."""

SEAM = TICKS_PER_TURN // 18
"""counts, 20 degrees; smallest distance of a commanded range from the ends of the single turn;
chosen for play, a limp joint's sagging and an inexact zero."""

FULL_PWM = 885
"""counts; full duty cycle; e-manual, PWM Limit."""

MAX_GOAL = 1_048_575
"""counts; largest goal in both directions in modes that count turns; e-manual, Goal Position."""

MEANS_OTHERWISE = {
    "drive_mode": "positions, profiles or torque mean something else",
    "homing_offset": "positions are shifted",
    "startup_configuration": "torque may go on by itself, or old settings return",
}
"""Registers that must be 0, and the effect of other values."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Required setup of one servo."""

    servo: Servo
    mode: OperatingMode
    range: TurnRange  # commanded range


@dataclass(frozen=True, slots=True)
class Facts:
    """Properties of one servo, as read from it."""

    firmware: int
    goals: tuple[int, int]
    """counts; smallest and largest goal position."""
    current_limit: int
    """counts; largest goal current."""
    temperature_limit: int
    """degrees Celsius; temperature at which the servo shuts down."""
    restarted: bool
    """Whether the RAM is as after power-on, so that whole turns are lost."""
    notes: tuple[str, ...] = ()
    """Sentences about settings that make the servo weaker or less protected."""

    def knows_fast_reads(self, plan: Plan) -> bool:
        """Return whether the servo supports fast sync reads."""
        return self.firmware >= plan.servo.model.fast_sync_read_firmware


def make_plan(servo: Servo, lower: float, upper: float, mode: str) -> Plan:
    """Choose the operating mode for a joint's commanded range, rad.

    A range beyond the servo's single turn, or within SEAM of its ends, needs the extended mode,
    which counts turns.
    """
    ends = units.rad_to_ticks([lower, upper], servo.zero, servo.direction)
    least, greatest = int(ends.min()), int(ends.max())
    if mode == CURRENT_BASED_POSITION:
        chosen = OperatingMode.CURRENT_BASED_POSITION
    elif least >= SEAM and greatest < TICKS_PER_TURN - SEAM:
        chosen = OperatingMode.POSITION
    else:
        chosen = OperatingMode.EXTENDED_POSITION
    return Plan(servo, chosen, TurnRange(least, greatest))


def arm_all(bus: ServoBus, plans: Sequence[Plan]) -> list[Facts]:
    """Check all servos; set them up if all checks pass.

    Raises:
        StationFault: a check failed; lists the problems of all servos.
    """
    problems: list[str] = []
    facts = []
    ids = [plan.servo.id for plan in plans]
    for plan in plans:
        try:
            facts.append(inspect(bus, plan, ids))
        except PortGone:
            raise
        except StationFault as error:
            problems.append(str(error))
    if not facts:
        problems.append("no servo answers: check the power, and the baud in the station file")
    if problems:
        raise StationFault("; ".join(problems))
    for plan in plans:
        arm(bus, plan, OPENING_RETRIES)
    bus.fast = all(f.knows_fast_reads(p) for f, p in zip(facts, plans, strict=True))
    return facts


def inspect(bus: ServoBus, plan: Plan, ids: Sequence[int] = ()) -> Facts:
    """Check one servo without changing it.

    Args:
        bus: bus of the servo.
        plan: required setup.
        ids: ids of all servos of the station.

    Raises:
        PacketLost: the servo does not answer.
        StationFault: model or settings are not usable; lists all problems.
    """
    servo = plan.servo
    try:
        identity = bus.ping(servo.id, OPENING_RETRIES)
    except PacketLost as error:
        raise PacketLost(f"{servo} does not answer") from error
    if identity.model_number != servo.model.number:
        raise StationFault(
            f"{servo} is of model number {identity.model_number}, not {servo.model.number} "
            f"({servo.model.name}); correct the station file"
        )
    value = _Values(_read_all(bus, servo, OPENING_RETRIES))
    goals = (-MAX_GOAL, MAX_GOAL)
    if plan.mode is OperatingMode.POSITION:
        goals = value["min_position_limit"], value["max_position_limit"]
    problems = _problems(plan, value, goals, ids)
    if identity.firmware < LEAST_FIRMWARE:
        problems.append(
            f"its firmware is {identity.firmware}, older than {LEAST_FIRMWARE}; update it"
        )
    if problems:
        raise StationFault(f"{servo}: {', '.join(problems)}")
    restarted = value["bus_watchdog"] == WATCHDOG_OFF
    limits = value["current_limit"], value["temperature_limit"]
    return Facts(identity.firmware, goals, *limits, restarted, _notes(servo, value))


def _notes(servo: Servo, value: "_Values") -> tuple[str, ...]:
    """Return sentences about settings that make a servo weaker or less protected."""
    found = []
    if value["pwm_limit"] < FULL_PWM:
        found.append(f"{servo} is weakened: its PWM limit is {value['pwm_limit']} of {FULL_PWM}")
    unguarded = servo.model.shutdown & ~value["shutdown"]
    if unguarded:
        found.append(f"{servo} does not shut down on {error_names(unguarded)}")
    return tuple(found)


def _problems(
    plan: Plan, value: "_Values", goals: tuple[int, int], ids: Sequence[int]
) -> list[str]:
    """List the settings that give positions, goals or limits another meaning."""
    problems = []
    for register, effect in MEANS_OTHERWISE.items():
        if value[register]:
            name = register.replace("_", " ")
            problems.append(f"its {name} is {value[register]}, with which {effect}; write 0")
    if plan.range.lower < goals[0] or plan.range.upper > goals[1]:
        problems.append(
            f"its position limits {goals[0]} to {goals[1]} leave out a part of the commanded "
            f"range {plan.range.lower} to {plan.range.upper}; write 0 and {TICKS_PER_TURN - 1}"
        )
    second = value["secondary_id"]
    if second in ids and second != plan.servo.id:
        problems.append(f"its secondary id {second} is another servo's id; write 255")
    if plan.mode is OperatingMode.CURRENT_BASED_POSITION and not value["current_limit"]:
        problems.append(f"its current limit is 0; write {plan.servo.model.current_limit}")
    hot = plan.servo.model.temperature_limit
    if not 0 < value["temperature_limit"] <= hot:
        problems.append(f"its temperature limit is {value['temperature_limit']}; write {hot}")
    return problems


def arm(bus: ServoBus, plan: Plan, retries: int = RETRIES) -> None:
    """Release one servo and set up return delay, mode, gains, profile and bus watchdog.

    Args:
        bus: bus of the servo.
        plan: required setup.
        retries: number of repetitions of a packet without an answer.

    Raises:
        StationFault: the servo does not answer or refuses.
    """
    servo = plan.servo
    try:
        value = _Values(_read_all(bus, servo, retries))
        # A servo accepts no goal until a tripped watchdog is cleared.
        bus.write(servo.id, "bus_watchdog", WATCHDOG_OFF, retries)
        if value["torque_enable"]:
            bus.write(servo.id, "torque_enable", 0, retries)
        for register, wanted in (("return_delay_time", 0), ("operating_mode", int(plan.mode))):
            if value[register] != wanted:
                bus.write(servo.id, register, wanted, retries)
        for register, wanted in _motion_registers(plan, value).items():
            if value[register] != wanted:
                bus.write(servo.id, register, wanted, retries)
        bus.write(servo.id, "bus_watchdog", WATCHDOG_COUNTS, retries)
    except ServoRefused as error:
        raise ServoRefused(f"{servo}: {error}") from error


def _motion_registers(plan: Plan, value: "_Values") -> dict[str, int]:
    """Return the RAM's registers of the motion: the station's gains, else as power-on sets them.

    Values of another program would slow the joint down, weaken it, or make it oscillate.
    """
    gains = plan.servo.gains
    return {
        "position_d_gain": gains.d,
        "position_i_gain": gains.i,
        "position_p_gain": gains.p,
        "feedforward_2nd_gain": 0,
        "feedforward_1st_gain": 0,
        "profile_velocity": 0,
        "profile_acceleration": 0,
        "goal_pwm": value["pwm_limit"],
    }


def disarm(bus: ServoBus, servo: Servo) -> None:
    """Release one servo and turn its bus watchdog off; raise PacketLost or ServoRefused."""
    bus.write(servo.id, "torque_enable", 0)
    bus.write(servo.id, "bus_watchdog", WATCHDOG_OFF)


class _Values:
    """Register values by name, from a block that begins at address 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __getitem__(self, register: str) -> int:
        item = REGISTERS[register]
        return units.from_bytes(self._data[item.address :], item)


def _read_all(bus: ServoBus, servo: Servo, retries: int) -> bytes:
    """Read BLOCK, and make the servo answer every instruction."""
    try:
        data = bus.read_block(servo.id, *BLOCK, retries).data
    except PacketLost:
        data = b""  # the servo answers pings only
    if not data or data[REGISTERS["status_return_level"].address] != ANSWER_ALL:
        bus.write(servo.id, "status_return_level", ANSWER_ALL, retries)
        data = bus.read_block(servo.id, *BLOCK, retries).data
    return data
