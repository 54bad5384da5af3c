"""What can fail on a servo bus, and what then happens, rung by rung.

| what is seen                               | what follows                                        |
|--------------------------------------------|-----------------------------------------------------|
| a packet is lost or broken                 | RETRIES; a lost fast sync read is repeated as a     |
|                                            | plain one, which one dead servo cannot spoil        |
| FAST_FAILURES cycles need the plain one    | plain sync reads from now on, fast ones are tried   |
|                                            | again after FAST_AGAIN if they ever worked          |
| a servo is missing in a cycle              | its group keeps the last reading and the old stamp  |
| ... in SILENT_CYCLES cycles in a row       | reported; its group holds the last position; it is  |
|                                            | asked every PROBE_PERIOD; where one is back, the    |
|                                            | others are asked at once                            |
| the alert bit of a status packet           | the hardware error is read at once and named;       |
|                                            | a servo that shut down waits for `reboot`           |
| a servo restarted by itself (brown-out)    | armed anew, its turn found again (see `turns`);     |
|                                            | engages from where it is                            |
| a servo's turn is not known                | reported; all joints are limp                       |
| the bus watchdog of a servo has tripped    | cleared and armed; engages from where it is         |
| the adapter is gone                        | announced, nothing moves; tried every REOPEN_PERIOD,|
|                                            | and when it is back all is checked and armed        |
| the driver died, the computer did not      | `guardian` lets all servos go                       |
| the driver stood still                     | `guardian` lets all servos go; when the driver      |
|                                            | wakes, it asks the guardian before it touches the   |
|                                            | bus, reports it, and engages from where it is       |
| the host is dead                           | each servo's own watchdog stops it after WATCHDOG   |

Whatever happened, a joint engages from its present position and approaches its command no faster
than its hand allows. Data that is not of this cycle never gets a new stamp.
"""

from handlab_core.errors import StationFault
from handlab_hardware.dynamixel.registers import WATCHDOG_S_PER_COUNT, HardwareError

RETRIES = 1
"""More tries for a packet that got no proper answer."""

OPENING_RETRIES = 4
"""The same when a station is opened: nothing moves yet, and a busy computer needs patience. The
vendor's ROS 2 driver pings five times (dynamixel_hardware_interface, dynamixel.cpp)."""

FAST_FAILURES = 3
"""Cycles in a row."""

FAST_AGAIN = 5.0
"""s."""

SILENT_CYCLES = 5
"""Cycles in a row; 50 ms at 100 Hz, and half of a control period of 0.1 s."""

PROBE_PERIOD = 0.2
"""s. A servo needs some tenths of a second to boot; asking an absent one costs a packet timeout."""

REOPEN_PERIOD = 1.0
"""s."""

HEALTH_PERIOD = 1.0
"""s, in which every servo is asked once for temperature, voltage and errors."""

WATCHDOG = 0.5
"""s. Longer than any pause of a running host, shorter than a hand needs to overheat or to hurt."""

WATCHDOG_COUNTS = round(WATCHDOG / WATCHDOG_S_PER_COUNT)
"""Value of `bus_watchdog`."""

WATCHDOG_TRIPPED = -1
"""What `bus_watchdog` reads once it has stopped the servo."""

WATCHDOG_OFF = 0

ERROR_NAMES = {
    HardwareError.INPUT_VOLTAGE: "input voltage out of range",
    HardwareError.OVERHEATING: "overheating",
    HardwareError.MOTOR_ENCODER: "motor encoder",
    HardwareError.ELECTRICAL_SHOCK: "electrical shock or too little power",
    HardwareError.OVERLOAD: "overload",
}

REFUSALS = {
    1: "could not process it",
    2: "does not know the instruction",
    3: "found a wrong checksum",
    4: "found the value out of range",
    5: "found too few bytes",
    6: "found the value beyond its limits",
    7: "cannot be read or written there, or not while torque is on",
}
"""Error codes of a status packet; e-manual, protocol 2.0."""


class PacketLost(StationFault):
    """A servo gave no proper answer, RETRIES included."""


class ServoRefused(StationFault):
    """A servo understood, and would not."""


class PortGone(StationFault):
    """The adapter was unplugged, or the other end of the line is closed."""


def error_names(bits: int) -> str:
    """Names of the hardware errors in a bit field, and the number of any bit without one."""
    names = [name for bit, name in ERROR_NAMES.items() if bits & bit]
    unknown = bits & ~sum(ERROR_NAMES)
    return ", ".join([*names, f"unknown error {unknown:#04x}"] if unknown else names)
