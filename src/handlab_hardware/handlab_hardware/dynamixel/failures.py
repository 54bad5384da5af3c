"""Failure ladder of a servo bus: observed failures and their consequences, and their constants.

| observation                                | consequence                                         |
|--------------------------------------------|-----------------------------------------------------|
| a packet is lost or broken                 | RETRIES; a plain sync read follows a lost fast one, |
|                                            | since one dead servo does not spoil a plain one     |
| FAST_FAILURES cycles need the plain one    | plain sync reads; fast ones are tried again after   |
|                                            | FAST_AGAIN if they ever worked                      |
| a servo is missing in a cycle              | its group keeps the last reading and the old stamp  |
| ... in SILENT_CYCLES cycles in a row       | reported; its group holds the last position; the    |
|                                            | servo is probed every PROBE_PERIOD; once one is     |
|                                            | back, the others are probed at once                 |
| the alert bit of a status packet           | the hardware error is read at once and named;       |
|                                            | a servo that shut down waits for `reboot`           |
| a servo restarted by itself (brown-out)    | armed again, its turn found again (see `turns`);    |
|                                            | engages at its present position                     |
| a servo's turn is not known                | reported; all joints are limp                       |
| the bus watchdog of a servo has tripped    | cleared and armed; engages at its present position  |
| the adapter is gone                        | reported, nothing moves; reopening every            |
|                                            | REOPEN_PERIOD; then all servos are checked and armed|
| the driver died, the computer did not      | `guardian` releases all servos                      |
| the driver stood still                     | `guardian` releases all servos; the driver asks the |
|                                            | guardian before it uses the bus again, reports the  |
|                                            | standstill, and engages at the present positions    |
| the host is dead                           | the watchdog of each servo stops it after WATCHDOG  |

In every case a joint engages at its present position and approaches its command no faster than the
hand's rate limit. Data of an earlier cycle never gets a new stamp.
"""

from handlab_core.errors import StationFault
from handlab_hardware.dynamixel.protocol.registers import WATCHDOG_S_PER_COUNT, HardwareError

RETRIES = 1
"""Number of repetitions of a packet without a valid answer."""

OPENING_RETRIES = 4
"""Number of repetitions while a station opens, when nothing moves and a busy computer needs time.

The vendor's ROS 2 driver pings five times (dynamixel_hardware_interface, dynamixel.cpp)."""

FAST_FAILURES = 3
"""Number of consecutive cycles with a lost fast sync read before plain ones replace it."""

FAST_AGAIN = 5.0
"""s; time until fast sync reads are tried again."""

SILENT_CYCLES = 5
"""Number of consecutive cycles without an answer before a servo counts as silent.

Five cycles are 50 ms at 100 Hz, half of a control period of 0.1 s."""

PROBE_PERIOD = 0.2
"""s; time between probes of silent servos; a probe costs a packet timeout, booting takes longer."""

REOPEN_PERIOD = 1.0
"""s; time between attempts to open a lost port."""

HEALTH_PERIOD = 1.0
"""s; time in which temperature, voltage and errors of every servo are read once."""

WATCHDOG = 0.5
"""s; timeout of the servos' bus watchdog; chosen: longer than the pauses of a running host, shorter
than the time in which a hand overheats or hurts a person."""

WATCHDOG_COUNTS = round(WATCHDOG / WATCHDOG_S_PER_COUNT)
"""counts; value of `bus_watchdog` for WATCHDOG."""

WATCHDOG_TRIPPED = -1
"""Value of `bus_watchdog` after the watchdog has stopped the servo."""

WATCHDOG_OFF = 0
"""Value of `bus_watchdog` that turns the watchdog off."""

ERROR_NAMES = {
    HardwareError.INPUT_VOLTAGE: "input voltage out of range",
    HardwareError.OVERHEATING: "overheating",
    HardwareError.MOTOR_ENCODER: "motor encoder",
    HardwareError.ELECTRICAL_SHOCK: "electrical shock or too little power",
    HardwareError.OVERLOAD: "overload",
}

REFUSALS = {
    1: "could not process the packet",
    2: "does not support the instruction",
    3: "found a wrong checksum",
    4: "found the value out of range",
    5: "found too few bytes",
    6: "found the value beyond its limits",
    7: "cannot be read or written at this address, or not while torque is on",
}
"""Error codes of a status packet; e-manual, protocol 2.0."""


class PacketLost(StationFault):
    """A servo gave no valid answer in all attempts."""


class ServoRefused(StationFault):
    """A servo answered with an error."""


class PortGone(StationFault):
    """The adapter was unplugged, or the other end of the line is closed."""


def error_names(bits: int) -> str:
    """Return the names of the hardware errors in a bit field, and the number of unknown bits."""
    names = [name for bit, name in ERROR_NAMES.items() if bits & bit]
    unknown = bits & ~sum(ERROR_NAMES)
    return ", ".join([*names, f"unknown error {unknown:#04x}"] if unknown else names)
