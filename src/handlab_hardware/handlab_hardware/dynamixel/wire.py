"""The vendor's SDK, with its port made fit for a control loop.

What differs from `dynamixel_sdk` 4.1, and why:
- its port polls in a busy loop; ours sleeps in `select` until bytes come, and leaves the processor
  to others;
- its time-outs are of the wall clock, which may be set back, and assume an adapter that holds bytes
  back for 16 ms; ours are monotonic, and know the adapter's latency and what is still on its way;
- its port may be opened twice; ours is locked;
- its `addStuffing` makes a longer copy that its `txPacket` never sends; ours stuffs in place;
- an unplugged adapter is one kind of error, PortGone.
"""

import errno
import os
import select
import time
from pathlib import Path
from typing import Any

import serial
from dynamixel_sdk import PortHandler, Protocol2PacketHandler

from handlab_core.errors import BadConfig, StationFault
from handlab_hardware.dynamixel.crc import crc16
from handlab_hardware.dynamixel.failures import PortGone

SYSFS = Path("/sys/bus/usb-serial/devices")

BITS_PER_BYTE = 10  # 8N1: start, eight, stop

SLACK = 0.015
"""s, by which an answer may be late because this computer is busy: a few time slices of a scheduler
whose cores are all taken. The SDK allows 34 ms."""

WRITE_TIMEOUT = 0.1
"""s, for the kernel to take bytes; its buffer is never full on a line that works."""

FAST_LATENCY_MS = 1
"""What the latency timer of the adapter shall be; the least there is."""

READ_SIZE = 4096

ADAPTERS = ("serial/by-id/*", "ttyUSB*", "ttyACM*")
"""Where the kernel and udev list serial adapters, below /dev."""

HEADER = 7  # bytes before the instruction: FF FF FD 00, id, length


def latency_ms(port: str, sysfs: Path = SYSFS) -> int | None:
    """How long a USB adapter holds bytes back [ms]; None where there is no such timer."""
    try:
        return int((sysfs / os.path.basename(os.path.realpath(port)) / "latency_timer").read_text())
    except (OSError, ValueError):
        return None


def latency_warning(port: str, latency: int | None) -> str | None:
    """What to do about a slow adapter; None if it is not slow."""
    if latency is None or latency <= FAST_LATENCY_MS:
        return None
    return (
        f"the adapter on {port} holds bytes back for {latency} ms; write this line to "
        "/etc/udev/rules.d/99-dynamixel.rules, then unplug it and plug it in again: "
        'ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", '
        f'ATTR{{latency_timer}}="{FAST_LATENCY_MS}"'
    )


class Port(PortHandler):  # type: ignore[misc]
    """A serial port for the SDK's packet handlers.

    Args:
        name: path of the device.
        baud: bits per second.
        latency: s, how long the adapter holds bytes back.

    Raises:
        StationFault: the port is missing, locked or may not be used; says what to do.
        BadConfig: no adapter knows the baud.
    """

    def __init__(self, name: str, baud: int, latency: float) -> None:
        super().__init__(name)
        self.sent = self.received = 0
        """Bytes so far."""
        self._latency, self._per_byte = latency, BITS_PER_BYTE / baud
        self._quiet = self._deadline = 0.0
        self._come = b""
        if self.getCFlagBaud(baud) <= 0:
            raise BadConfig(f"the SDK knows no baud of {baud}; try 1000000")
        try:
            self.setBaudRate(baud)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise StationFault(_remedy(name, error)) from error

    # The names below are the SDK's.

    def setupPort(self, cflag_baud: int) -> bool:  # noqa: N802
        """Open and lock the port."""
        self.ser = serial.Serial(self.port_name, cflag_baud, timeout=0, exclusive=True)
        self._fd: int = self.ser.fileno()
        self.is_open = True
        self.clearPort()
        return True

    def closePort(self) -> None:  # noqa: N802
        """Close the port; twice is harmless."""
        if self.is_open:
            self.ser.close()
            self.is_open = False

    def clearPort(self) -> None:  # noqa: N802
        """Forget what came and was not read."""
        try:
            while data := os.read(self._fd, READ_SIZE):
                self.received += len(data)
        except BlockingIOError:
            pass
        except OSError as error:
            raise self._gone() from error
        self._come = b""

    def writePort(self, packet: list[int]) -> int:  # noqa: N802
        """Hand a packet to the kernel."""
        data = rest = bytes(packet)
        now = time.monotonic()  # before: an answer must never seem to come too early
        try:
            while rest:
                try:
                    rest = rest[os.write(self._fd, rest) :]
                except BlockingIOError:
                    if not select.select([], [self._fd], [], WRITE_TIMEOUT)[1]:
                        return len(data) - len(rest)
        except OSError as error:
            raise self._gone() from error
        self.sent += len(data)
        self._quiet = max(now, self._quiet) + len(data) * self._per_byte
        return len(data)

    def readPort(self, length: int) -> bytes:  # noqa: N802
        """Read so many bytes, or those that came before the time was over."""
        while len(self._come) < length:
            wait = max(0.0, self._deadline - time.monotonic())
            try:
                if not select.select([self._fd], [], [], wait)[0]:
                    break
                part = os.read(self._fd, READ_SIZE)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._gone() from error
            if not part:  # though `select` said that there is something: the line was hung up
                raise self._gone()
            self.received += len(part)
            self._come += part
        data, self._come = self._come[:length], self._come[length:]
        return data

    def setPacketTimeout(self, packet_length: int) -> None:  # noqa: N802
        """Begin to wait for so many bytes, behind those that are still being sent."""
        begin = max(time.monotonic(), self._quiet)
        self._deadline = begin + packet_length * self._per_byte + 2 * self._latency + SLACK

    def too_early(self, length: int) -> bool:
        """Whether an answer of so many bytes could not yet be here: it is to something before."""
        return time.monotonic() < self._quiet + length * self._per_byte

    def more_comes(self, within: float) -> bool:
        """Whether something else arrives within a time [s]."""
        return bool(self._come or select.select([self._fd], [], [], within)[0])

    def setPacketTimeoutMillis(self, msec: float) -> None:  # noqa: N802
        """Begin to wait for so long [ms]."""
        self._deadline = time.monotonic() + msec / 1000

    def isPacketTimeout(self) -> bool:  # noqa: N802
        """Whether the time is over."""
        return time.monotonic() >= self._deadline

    def _gone(self) -> PortGone:
        self.is_using = False  # the SDK leaves its mark when it is interrupted
        return PortGone(f"the adapter on {self.port_name} is gone")


class Packets(Protocol2PacketHandler):  # type: ignore[misc]
    """The SDK's packets, with stuffing that reaches the wire."""

    def addStuffing(self, packet: list[int]) -> list[int]:  # noqa: N802
        """Put FD behind every FF FF FD of the instruction and its parameters, in place."""
        body = bytes(packet[HEADER:-2])
        stuffed = body.replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd")
        if len(stuffed) != len(body):
            length = len(stuffed) + 2
            packet[5:] = [length & 0xFF, length >> 8, *stuffed, 0, 0]
        return packet

    def updateCRC(self, crc_accum: int, data_blk_ptr: Any, data_blk_size: int) -> int:  # noqa: N802
        """Checksum of a packet; the SDK makes its table anew for each."""
        return crc16(bytes(data_blk_ptr[:data_blk_size]), crc_accum)


def _remedy(port: str, error: Exception) -> str:
    """Say what to do about a port that cannot be opened."""
    code = getattr(error, "errno", None)
    if code in (errno.EACCES, errno.EPERM):
        return (
            f"no permission for {port}: join the group that owns it (`sudo usermod -aG dialout "
            "$USER`), then log in again"
        )
    if code in (errno.EAGAIN, errno.EBUSY):
        return f"{port} is in use: end the other program that has it open (`fuser -v {port}`)"
    if code in (errno.ENOENT, errno.ENXIO, errno.ENODEV) or not os.path.exists(port):
        there = [str(path) for pattern in ADAPTERS for path in sorted(Path("/dev").glob(pattern))]
        return (
            f"there is no {port}: plug the adapter in, or name its port in the station file; "
            f"serial adapters there are: {', '.join(there) or 'none'}"
        )
    return f"cannot open {port}: {error}"
