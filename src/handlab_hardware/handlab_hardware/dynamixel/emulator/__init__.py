"""An emulated bus of Dynamixel X servos, Protocol 2.0, behind a pseudo-terminal.

packet   frames, stuffing, CRC
table    a control table and its rules            servo    what instructions do
settings, profile, loop   the firmware's control loop over all servos at once
physics  what turns: free servos; station: any backend's world
bus      the wire and its time                    faults, control   what goes wrong, on request
port     the pseudo-terminal                      config   put together

See docs/emulator.md.
"""

from handlab_hardware.dynamixel.emulator.config import EmulatorConfig, emulate, make_bus
from handlab_hardware.dynamixel.emulator.control import FaultInjector
from handlab_hardware.dynamixel.emulator.faults import Fault
from handlab_hardware.dynamixel.emulator.port import EmulatedPort

__all__ = ["EmulatedPort", "EmulatorConfig", "Fault", "FaultInjector", "emulate", "make_bus"]
