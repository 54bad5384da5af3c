"""Emulated bus of Dynamixel X servos, Protocol 2.0, behind a pseudo-terminal.

firmware/packet   frames, byte stuffing, CRC
firmware/table    control table and its rules
firmware/servo    effects of instructions
firmware/settings, profile, loop   control loop over all servos at once
physics           dynamics of free servos
backend_physics   dynamics by a backend, such as MuJoCo
thermal           temperatures
bus               wire with its timing
tap               recorder of goals on the bus
faults, control   faults on request
port              pseudo-terminal
config            configuration and construction

See docs/emulator.md.
"""

from handlab_hardware.dynamixel.emulator.config import EmulatorConfig, emulate, make_bus
from handlab_hardware.dynamixel.emulator.control import FaultInjector
from handlab_hardware.dynamixel.emulator.faults import Fault
from handlab_hardware.dynamixel.emulator.port import EmulatedPort

__all__ = ["EmulatedPort", "EmulatorConfig", "Fault", "FaultInjector", "emulate", "make_bus"]
