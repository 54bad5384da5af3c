"""State of every servo of a station, read without changing anything."""

import math
from dataclasses import dataclass

from handlab_core.safety.limits import HOT_MARGIN
from handlab_hardware.dynamixel.failures import (
    OPENING_RETRIES,
    PacketLost,
    ServoRefused,
    error_names,
)
from handlab_hardware.dynamixel.protocol import units
from handlab_hardware.dynamixel.protocol.bus import ServoBus
from handlab_hardware.dynamixel.protocol.models import MODELS
from handlab_hardware.dynamixel.protocol.registers import REGISTERS
from handlab_hardware.station_file import DynamixelSection, Servo

TABLE = (0, REGISTERS["backup_ready"].end)
"""First address, and size in bytes, of all registers of a servo."""

NUMBERS = {model.number: name for name, model in MODELS.items()}
"""Number of a servo model to its name."""


@dataclass(frozen=True, slots=True)
class ServoState:
    """State of one servo; a servo that does not answer has NaN and False."""

    joint: str
    id: int
    model: str = ""
    firmware: int = 0
    position: float = float("nan")  # rad; of the joint
    target: float = float("nan")  # rad; of the joint
    effort: float = float("nan")  # N m; from the current, or from the load
    temperature: float = float("nan")  # degrees Celsius
    voltage: float = float("nan")  # V
    torque: bool = False
    problem: str = ""
    """Sentence with the remedy; empty: none."""


def model_name(number: int) -> str:
    """Return the name of a servo model by its number."""
    return NUMBERS.get(number, f"model number {number}")


def read_servos(section: DynamixelSection, bus: ServoBus | None = None) -> list[ServoState]:
    """Read every servo of a section; a servo that is silent or refuses has a problem.

    Args:
        section: servos, port and speed.
        bus: open bus of the section; None: it is opened, and closed again.

    Raises:
        StationFault: the port cannot be opened, or the adapter is gone.
    """
    own = bus is None
    bus = bus or ServoBus(section.port, section.baud)
    try:
        return [_read(bus, servo, not own) for servo in section.servos]
    finally:
        if own:
            bus.close()


def _read(bus: ServoBus, servo: Servo, again: bool) -> ServoState:
    try:
        identity = bus.ping(servo.id, 1 if again else OPENING_RETRIES)
        data = bus.read_block(servo.id, *TABLE).data
    except PacketLost:
        problem = "does not answer: check its cable, its power, its id and its baud"
        return ServoState(servo.joint, servo.id, problem=problem)
    except ServoRefused as error:
        return ServoState(servo.joint, servo.id, problem=str(error))

    def value(name: str) -> int:
        register = REGISTERS[name]
        return units.from_bytes(data[register.address :], register)

    def angle(name: str) -> float:
        q = float(units.ticks_to_rad(value(name), servo.zero, servo.direction))
        return math.remainder(q, 2 * math.pi)  # the encoder knows the angle, not the turn

    celsius, limit = value("present_temperature"), value("temperature_limit")
    problem = ""
    if identity.model_number != servo.model.number:
        problem = (
            f"is a {model_name(identity.model_number)}, not a {servo.model.name}: "
            "correct the station file"
        )
    elif errors := value("hardware_error_status"):
        problem = f"reports {error_names(errors)}: `./handlab reboot {servo.joint}` clears it"
    elif celsius >= limit - HOT_MARGIN:
        problem = f"is hot, {celsius} of {limit} degrees Celsius: let it cool"
    return ServoState(
        servo.joint,
        servo.id,
        model_name(identity.model_number),
        identity.firmware,
        angle("present_position"),
        angle("goal_position"),
        float(
            units.counts_to_torque(
                value("present_current"), units.torque_per_count(servo.model), servo.direction
            )
        ),
        float(celsius),
        float(units.counts_to_volts(value("present_input_voltage"))),
        bool(value("torque_enable")),
        problem,
    )
