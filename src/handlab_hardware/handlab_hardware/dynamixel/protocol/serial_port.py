"""Serial port and packets of the vendor's SDK, adapted to a control loop.

Differences from `dynamixel_sdk` 4.1:
- The SDK's port polls in a busy loop; this port sleeps in `select` until bytes arrive.
- The SDK's timeouts use the wall clock and assume an adapter latency of 16 ms; these timeouts are
  monotonic and use the adapter's latency and the bytes that are still being sent.
- The SDK's port may be opened twice; this port is locked.
- The SDK's `addStuffing` makes a longer copy that its `txPacket` never sends; this one works in
  place.
- An unplugged adapter raises one kind of error, PortGone.
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
from handlab_core.system.holders import lock_holder
from handlab_hardware.dynamixel.failures import PortGone
from handlab_hardware.dynamixel.protocol.crc import crc16

SYSFS = Path("/sys/bus/usb-serial/devices")

BITS_PER_BYTE = 10  # 8N1: start, eight, stop

SLACK = 0.015
"""s; tolerated delay of an answer on a busy computer: a few time slices of the scheduler; chosen.
The SDK allows 34 ms."""

WRITE_TIMEOUT = 0.1
"""s; timeout of writing to the kernel, whose buffer is never full on a working line."""

FAST_LATENCY_MS = 1
"""ms; recommended latency timer of the adapter, the smallest possible."""

UDEV_RULE_FILE = Path("/etc/udev/rules.d/99-dynamixel.rules")
UDEV_RULE = (
    'ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", '
    f'ATTR{{latency_timer}}="{FAST_LATENCY_MS}"'
)
"""Rule that sets the latency timer of every FTDI adapter when it is plugged in."""

READ_SIZE = 4096  # bytes

DEVICES = Path("/dev")

ADAPTERS = ("serial/by-id/*", "ttyUSB*", "ttyACM*")
"""Patterns of serial adapters below /dev."""

HEADER = 7  # bytes before the instruction: FF FF FD 00, id, length


def adapters(devices: Path = DEVICES) -> list[str]:
    """Return the serial adapters of this machine, those with a name that stays first."""
    return [str(path) for pattern in ADAPTERS for path in sorted(devices.glob(pattern))]


def latency_ms(port: str, sysfs: Path = SYSFS) -> int | None:
    """Return the latency timer of a USB adapter, ms; None without such a timer."""
    try:
        return int((sysfs / os.path.basename(os.path.realpath(port)) / "latency_timer").read_text())
    except (OSError, ValueError):
        return None


def latency_warning(port: str, latency: int | None) -> str | None:
    """Return the remedy for a slow adapter; None for a fast one."""
    if latency is None or latency <= FAST_LATENCY_MS:
        return None
    return (
        f"the adapter on {port} holds bytes back for {latency} ms; write this line to "
        f"{UDEV_RULE_FILE}, then unplug it and plug it in again: {UDEV_RULE}"
    )


class Port(PortHandler):  # type: ignore[misc]
    """A serial port for the SDK's packet handlers.

    Args:
        name: path of the device.
        baud: speed, bit/s.
        latency: latency timer of the adapter, s.

    Raises:
        StationFault: the port is missing, locked or not permitted; the message names the remedy.
        BadConfig: adapters do not support this speed.
    """

    def __init__(self, name: str, baud: int, latency: float) -> None:
        super().__init__(name)
        self.sent = self.received = 0
        """Numbers of bytes sent and received since opening."""
        self._latency, self._per_byte = latency, BITS_PER_BYTE / baud
        self._quiet = self._deadline = 0.0
        self._come = b""
        if self.getCFlagBaud(baud) <= 0:
            raise BadConfig(f"the SDK does not support a baud of {baud}; try 1000000")
        try:
            self.setBaudRate(baud)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise StationFault(_remedy(name, error)) from error

    # The SDK calls the methods below by these names.

    def setupPort(self, cflag_baud: int) -> bool:  # noqa: N802
        """Open and lock the port."""
        self.ser = serial.Serial(self.port_name, cflag_baud, timeout=0, exclusive=True)
        self._fd: int = self.ser.fileno()
        self.is_open = True
        self.clearPort()
        return True

    def closePort(self) -> None:  # noqa: N802
        """Close the port; a second call has no effect."""
        if self.is_open:
            self.ser.close()
            self.is_open = False

    def clearPort(self) -> None:  # noqa: N802
        """Discard received bytes."""
        try:
            while data := os.read(self._fd, READ_SIZE):
                self.received += len(data)
        except BlockingIOError:
            pass
        except OSError as error:
            raise self._gone() from error
        self._come = b""

    def writePort(self, packet: list[int]) -> int:  # noqa: N802
        """Write a packet; return the number of bytes written."""
        data = rest = bytes(packet)
        now = time.monotonic()  # before writing: no answer may count as too early
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
        """Return `length` bytes, or fewer after the timeout."""
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
            if not part:  # readable without bytes: the line was hung up
                raise self._gone()
            self.received += len(part)
            self._come += part
        data, self._come = self._come[:length], self._come[length:]
        return data

    def duration_ms(self, length: int) -> float:
        """Return the time that bytes take on the wire, ms."""
        return 1000 * length * self._per_byte

    def setPacketTimeout(self, packet_length: int) -> None:  # noqa: N802
        """Start the timeout of an answer of this length, after the bytes still being sent."""
        begin = max(time.monotonic(), self._quiet)
        self._deadline = begin + packet_length * self._per_byte + 2 * self._latency + SLACK

    def too_early(self, length: int) -> bool:
        """Return whether an answer of this length is too early to belong to the last packet."""
        return time.monotonic() < self._quiet + length * self._per_byte

    def more_comes(self, within: float) -> bool:
        """Return whether more bytes arrive within a time, s."""
        return bool(self._come or select.select([self._fd], [], [], within)[0])

    def setPacketTimeoutMillis(self, msec: float) -> None:  # noqa: N802
        """Start a timeout, ms."""
        self._deadline = time.monotonic() + msec / 1000

    def isPacketTimeout(self) -> bool:  # noqa: N802
        """Return whether the timeout has passed."""
        return time.monotonic() >= self._deadline

    def _gone(self) -> PortGone:
        self.is_using = False  # the SDK leaves its lock set when an exception interrupts it
        return PortGone(f"the adapter on {self.port_name} is gone")


class Packets(Protocol2PacketHandler):  # type: ignore[misc]
    """Packet handler of the SDK with working byte stuffing and a fast checksum."""

    def addStuffing(self, packet: list[int]) -> list[int]:  # noqa: N802
        """Insert FD after every FF FF FD of the instruction and its parameters, in place."""
        body = bytes(packet[HEADER:-2])
        stuffed = body.replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd")
        if len(stuffed) != len(body):
            length = len(stuffed) + 2
            packet[5:] = [length & 0xFF, length >> 8, *stuffed, 0, 0]
        return packet

    def updateCRC(self, crc_accum: int, data_blk_ptr: Any, data_blk_size: int) -> int:  # noqa: N802
        """Return the checksum of a packet; the SDK rebuilds its table for every packet."""
        return crc16(bytes(data_blk_ptr[:data_blk_size]), crc_accum)


def _remedy(port: str, error: Exception) -> str:
    """Return the remedy for a port that cannot be opened."""
    code = getattr(error, "errno", None)
    if code in (errno.EACCES, errno.EPERM):
        return (
            f"no permission for {port}: join the group that owns it (`sudo usermod -aG dialout "
            "$USER`), then log in again"
        )
    if code in (errno.EAGAIN, errno.EBUSY):
        holder = lock_holder(port)
        if not holder:
            return f"{port} is in use: end the other program that has it open (`fuser -v {port}`)"
        return f"{port} is in use by {holder}: end it, or use the hand through it"
    if code in (errno.ENOENT, errno.ENXIO, errno.ENODEV) or not os.path.exists(port):
        return (
            f"there is no {port}: plug the adapter in, or name its port in the station file; "
            f"serial adapters there are: {', '.join(adapters()) or 'none'}"
        )
    return f"cannot open {port}: {error}"
