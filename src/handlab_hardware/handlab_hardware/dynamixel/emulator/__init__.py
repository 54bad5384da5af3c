"""Emulated bus of Dynamixel X servos, Protocol 2.0, behind a pseudo-terminal.

packet   frames, byte stuffing, CRC
table    control table and its rules              servo    effects of instructions
settings, profile, loop   control loop of the firmware, over all servos at once
physics  dynamics of free servos                  station  dynamics by a backend, such as MuJoCo
thermal  temperatures                             tap      recorder of goals on the bus
bus      wire with its timing                     faults, control   faults on request
port     pseudo-terminal                          config   configuration and construction

See docs/emulator.md.
"""

from handlab_hardware.dynamixel.emulator.config import EmulatorConfig, emulate, make_bus
from handlab_hardware.dynamixel.emulator.control import FaultInjector
from handlab_hardware.dynamixel.emulator.faults import Fault
from handlab_hardware.dynamixel.emulator.port import EmulatedPort

__all__ = ["EmulatedPort", "EmulatorConfig", "Fault", "FaultInjector", "emulate", "make_bus"]
