"""Lets the hand go when the process that drives it dies.

A servo whose host falls silent stops by its own bus watchdog, but goes on holding (e-manual, Bus
Watchdog). So while a hand is engaged a second process waits on a pipe from the driver. The kernel
closes the pipe however the driver ends; if that was not announced, the guardian lets all servos
go. It cannot help where the computer itself dies.
"""

import subprocess
import sys
import time

import serial

from handlab_hardware.dynamixel.crc import crc16
from handlab_hardware.dynamixel.registers import REGISTERS

FAREWELL = b"q"
"""What an orderly driver says before it closes the pipe."""

REPEATS, GAP = 5, 0.05
"""A broadcast is not answered, so it is sent more than once; s between."""

HEADER, BROADCAST, WRITE = b"\xff\xff\xfd\x00", 0xFE, 0x03  # e-manual, protocol 2.0


class Guardian:
    """Watches over the servos of one port for as long as this process lives.

    Args:
        port: of the adapter.
        baud: of its servos.
    """

    def __init__(self, port: str, baud: int) -> None:
        words = [sys.executable, "-m", __name__, port, str(baud)]
        # A session of its own: what ends the driver's whole group must not end this.
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)

    def dismiss(self) -> None:
        """The servos are released, or somebody else's. Twice is harmless."""
        if self._process.returncode is None:
            self._process.communicate(FAREWELL)


def release_all() -> bytes:
    """The packet that turns every servo's torque off."""
    register = REGISTERS["torque_enable"]
    body = bytes((WRITE, *register.address.to_bytes(2, "little"), 0))
    packet = HEADER + bytes((BROADCAST, *(len(body) + 2).to_bytes(2, "little"))) + body
    return packet + crc16(packet).to_bytes(2, "little")


def main(port: str, baud: str) -> int:
    """Wait for the end of the driver; return the exit code."""
    if sys.stdin.buffer.read():  # returns at the end of the pipe
        return 0
    try:
        with serial.Serial(port, int(baud)) as line:
            for _ in range(REPEATS):
                line.write(release_all())
                line.flush()
                time.sleep(GAP)
    except serial.SerialException as error:
        sys.stderr.write(f"the driver died, and its servos cannot be released: {error}\n")
        return 1
    sys.stderr.write(f"the driver died: all servos on {port} are released\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
