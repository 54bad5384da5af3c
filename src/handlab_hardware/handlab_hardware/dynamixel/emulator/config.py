"""Configuration and construction of an emulated servo bus."""

from dataclasses import dataclass, field
from pathlib import Path

from handlab_core.errors import BadConfig
from handlab_hardware.dynamixel.emulator.bus import PROCESSING_S, Bus
from handlab_hardware.dynamixel.emulator.faults import Faults
from handlab_hardware.dynamixel.emulator.firmware.loop import ControlLoop, LoopConfig
from handlab_hardware.dynamixel.emulator.firmware.packet import MAX_ID
from handlab_hardware.dynamixel.emulator.firmware.servo import FIRMWARE, Servo
from handlab_hardware.dynamixel.emulator.physics import Physics, ServoPhysics
from handlab_hardware.dynamixel.emulator.port import EmulatedPort
from handlab_hardware.dynamixel.protocol.models import make_model
from handlab_hardware.dynamixel.protocol.registers import BAUD_RATES


@dataclass(frozen=True)
class EmulatorConfig:
    """Configuration of an emulated servo bus."""

    ids: tuple[int, ...] = (1,)
    models: tuple[str, ...] = ("XM430-W210",)
    """Model names, one for all ids or one for each id."""
    baud: int = 1_000_000  # bit/s; speed that the servos are set to
    wire_baud: int | None = None
    """bit/s; speed of the wire; None: the client's. Servos of another speed are silent."""
    firmware: int = FIRMWARE
    link: Path | None = None
    """Symbolic link to the port, a stable name."""
    control: Path | None = None
    """Socket for faults; None: `<link>.faults`, or no socket without a link."""
    processing: float = PROCESSING_S  # s; processing time of an instruction
    seed: int = 0  # seed of random faults
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if not self.ids or len(set(self.ids)) < len(self.ids):
            raise BadConfig(f"ids {self.ids}: give at least one id, and each id once")
        if any(not 0 <= id <= MAX_ID for id in self.ids):
            raise BadConfig(f"ids {self.ids}: an id is a number from 0 to {MAX_ID}")
        if len(self.models) not in (1, len(self.ids)):
            raise BadConfig(
                f"{len(self.models)} models for {len(self.ids)} ids; give one, or one for each"
            )
        if self.baud not in BAUD_RATES:
            raise BadConfig(f"servos cannot be set to {self.baud} baud, only to {[*BAUD_RATES]}")

    @property
    def control_path(self) -> Path | None:
        """Return the path of the socket for faults."""
        if self.control is None and self.link is not None:
            return self.link.with_name(self.link.name + ".faults")
        return self.control


def make_bus(config: EmulatorConfig, physics: Physics | None = None) -> Bus:
    """Build a bus with its servos.

    Args:
        config: configuration of the bus.
        physics: physics of the servos, in the order of the ids; None: free servos.
    """
    names = config.models * (len(config.ids) if len(config.models) == 1 else 1)
    models = [make_model(name) for name in names]
    servos = [
        Servo(model, id, config.baud, config.firmware)
        for id, model in zip(config.ids, models, strict=True)
    ]
    loop = ControlLoop(servos, physics or ServoPhysics(models), config.loop)
    return Bus(loop, Faults(config.seed), config.processing)


def emulate(config: EmulatorConfig, physics: Physics | None = None) -> EmulatedPort:
    """Open an emulated port; use it in a `with` statement, or call its `serve()`.

    Args:
        config: configuration of the bus.
        physics: physics of the servos, in the order of the ids; None: free servos.

    Raises:
        BadConfig: a value is out of bounds.
        UnknownName: a model is unknown.
        StationFault: the link cannot be made.
    """
    bus = make_bus(config, physics)
    return EmulatedPort(bus, config.link, config.wire_baud, config.control_path)
