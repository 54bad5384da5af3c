"""Recorder of goal positions on the emulated bus, with their times."""

import struct
from dataclasses import dataclass, field

from handlab_hardware.dynamixel.emulator.firmware.packet import Code, Instruction
from handlab_hardware.dynamixel.protocol.registers import REGISTERS

GOAL = REGISTERS["goal_position"]


@dataclass(frozen=True, slots=True)
class SentGoal:
    """Goal position of one servo in an instruction packet."""

    time: float  # s; end of the packet, by the clock of the emulated bus
    id: int
    ticks: int  # counts
    alone: bool
    """Whether the packet was for this servo alone, as when a servo is engaged."""


@dataclass
class GoalTap:
    """Recorder of goal positions; append it to `Bus.taps`."""

    goals: list[SentGoal] = field(default_factory=list)

    def __call__(self, time: float, instruction: Instruction) -> None:
        """Record the goals of an instruction packet, whose last byte was on the wire at `time`."""
        params = instruction.params
        if instruction.code == Code.SYNC_WRITE and len(params) > 4:
            address, length = struct.unpack_from("<HH", params)
            if (address, length) == (GOAL.address, GOAL.size):
                for id, ticks in struct.iter_unpack("<Bi", params[4:]):
                    self.goals.append(SentGoal(time, id, ticks, False))
        elif instruction.code == Code.WRITE and len(params) == 2 + GOAL.size:
            address, ticks = struct.unpack("<Hi", params)
            if address == GOAL.address:
                self.goals.append(SentGoal(time, instruction.id, ticks, True))

    def take(self) -> list[SentGoal]:
        """Return the goals recorded since the last call."""
        goals, self.goals = self.goals, []
        return goals
