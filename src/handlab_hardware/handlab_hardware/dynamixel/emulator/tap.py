"""Listen to the emulated wire: the goals that servos are sent, and when."""

import struct
from dataclasses import dataclass, field

from handlab_hardware.dynamixel.emulator.packet import Code, Instruction
from handlab_hardware.dynamixel.registers import REGISTERS

GOAL = REGISTERS["goal_position"]


@dataclass(frozen=True, slots=True)
class SentGoal:
    """One goal position on the wire."""

    time: float  # s; end of its packet, by the clock of the emulated bus
    id: int
    ticks: int
    alone: bool
    """It was written to this servo alone, as when a servo is engaged; else to many at once."""


@dataclass
class GoalTap:
    """Collects goal positions; append it to `Bus.taps`."""

    goals: list[SentGoal] = field(default_factory=list)

    def __call__(self, time: float, instruction: Instruction) -> None:
        """Take one instruction packet, and the time [s] at which its last byte was on the wire."""
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
        """Return the goals since the last call."""
        goals, self.goals = self.goals, []
        return goals
