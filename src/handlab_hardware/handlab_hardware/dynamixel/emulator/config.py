"""What is emulated, as a value, and how it is put together."""

from dataclasses import dataclass, field
from pathlib import Path

from handlab_core.errors import BadConfig
from handlab_hardware.dynamixel.emulator.bus import PROCESSING_S, Bus
from handlab_hardware.dynamixel.emulator.faults import Faults
from handlab_hardware.dynamixel.emulator.loop import ControlLoop, LoopConfig
from handlab_hardware.dynamixel.emulator.packet import MAX_ID
from handlab_hardware.dynamixel.emulator.physics import Physics, ServoPhysics
from handlab_hardware.dynamixel.emulator.port import EmulatedPort
from handlab_hardware.dynamixel.emulator.servo import FIRMWARE, Servo
from handlab_hardware.dynamixel.models import make_model
from handlab_hardware.dynamixel.registers import BAUD_RATES


@dataclass(frozen=True)
class EmulatorConfig:
    """A bus of servos as somebody has set them up with the vendor's tool."""

    ids: tuple[int, ...] = (1,)
    models: tuple[str, ...] = ("XM430-W210",)
    """One for all, or one for each id."""
    baud: int = 1_000_000  # that the servos are set to
    wire_baud: int | None = None
    """The speed of the wire; None: what the client sets. Another than `baud` means silence."""
    firmware: int = FIRMWARE
    link: Path | None = None
    """A stable name for the port."""
    control: Path | None = None
    """Socket for faults; None: beside the link, `<link>.faults`, and none without a link."""
    processing: float = PROCESSING_S  # s a servo takes for an instruction
    seed: int = 0  # of faults that are left to chance
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if not self.ids or len(set(self.ids)) < len(self.ids):
            raise BadConfig(f"ids {self.ids}: give at least one, and none of them twice")
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
        """Where faults are taken."""
        if self.control is None and self.link is not None:
            return self.link.with_name(self.link.name + ".faults")
        return self.control


def make_bus(config: EmulatorConfig, physics: Physics | None = None) -> Bus:
    """Put servos on a bus.

    Args:
        config: which servos.
        physics: what turns, in the order of the ids; None: free servos.
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
    """Open an emulated port; `with` it, or `serve()` it in the foreground.

    Args:
        config: which servos, and what the port is called.
        physics: what turns, in the order of the ids; None: free servos.

    Raises:
        BadConfig: something in the config cannot be.
        UnknownName: there is no such model.
        StationFault: the link cannot be made.
    """
    bus = make_bus(config, physics)
    return EmulatedPort(bus, config.link, config.wire_baud, config.control_path)
