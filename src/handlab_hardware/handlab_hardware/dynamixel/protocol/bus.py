"""Typed instructions for the servos on one serial port, on top of the vendor's SDK."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dynamixel_sdk import COMM_SUCCESS

from handlab_hardware.dynamixel.failures import (
    FAST_FAILURES,
    REFUSALS,
    RETRIES,
    PacketLost,
    ServoRefused,
)
from handlab_hardware.dynamixel.protocol import units
from handlab_hardware.dynamixel.protocol.crc import crc16
from handlab_hardware.dynamixel.protocol.registers import REGISTERS
from handlab_hardware.dynamixel.protocol.serial_port import (
    SYSFS,
    Packets,
    Port,
    latency_ms,
    latency_warning,
)

ALERT = 0x80  # bit of a status packet's error byte: the servo has a hardware error
BROADCAST = 0xFE
ERROR, DATA = 8, 9  # indices of error byte and data in a status packet
FAST_OVERHEAD = 4  # bytes of each servo in a fast reply: error, id, checksum
STATUS = 11  # bytes of a status packet without data
IDENTITY = 3  # bytes of data in the answer to a ping
STATUS_HEADER = b"\xff\xff\xfd\x00"
MS_PER_S = 1000.0

MOST_SERVOS = 253
"""Number of ids; Protocol 2.0."""

SLOT_MS = 3.0
"""ms; time that a servo waits for each smaller id before it answers a ping of all servos; the
vendor's SDK, protocol2_packet_handler, broadcastPing."""

WARY = 1.0
"""s; time after a lost packet in which its late answer may still arrive."""

LISTEN = 0.002
"""s; wait for a second answer during WARY, longer than an adapter's latency."""

TAGS = 11
"""Number of consecutive reads during WARY that request different numbers of bytes.

A status packet does not identify its instruction, but its length does. At 100 Hz, lengths repeat
after a tenth of a second. At least this many bytes must follow the requested ones: 12 registers'
bytes follow the present position."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of one servo."""

    data: bytes
    alert: bool  # the servo has a hardware error


@dataclass(frozen=True, slots=True)
class Identity:
    """Answer of a servo to a ping."""

    model_number: int
    firmware: int


class ServoBus:
    """Servos on one serial port, Protocol 2.0.

    Args:
        port: path of the adapter.
        baud: speed, bit/s.
        sysfs: folder of the kernel with the latency timers of adapters.

    Raises:
        StationFault: the port cannot be opened; the message names the remedy.
        BadConfig: adapters do not support this speed.

    Every method raises PortGone when the adapter is unplugged.
    """

    def __init__(self, port: str, baud: int, sysfs: Path = SYSFS) -> None:
        latency = latency_ms(port, sysfs)
        warning = latency_warning(port, latency)
        self.notes: tuple[str, ...] = (warning,) if warning else ()
        """Sentences about settings that could be improved."""
        self.counts: Counter[str] = Counter(retries=0, lost_packets=0)
        self.fast = False
        """Whether `read_all` begins with a fast sync read, which all servos must support."""
        self.fast_works = False
        """Whether a fast sync read has ever been answered."""
        self._fast_failures = 0
        self._wary_until, self._tag = 0.0, 0
        self._port = Port(port, baud, (1 if latency is None else latency) / MS_PER_S)
        self._packets = Packets()

    @property
    def traffic(self) -> int:
        """Return the number of bytes sent and received since opening."""
        return int(self._port.sent + self._port.received)

    def close(self) -> None:
        """Close the port; a second call has no effect."""
        self._port.closePort()

    # One servo.

    def ping(self, servo: int, retries: int = RETRIES) -> Identity:
        """Request the identity of a servo; raise PacketLost without an answer."""
        data = self._ask(servo, [1], retries, IDENTITY).data
        return Identity(int.from_bytes(data[:2], "little"), data[2])

    def read(self, servo: int, register: str) -> int:
        """Read one register; raise PacketLost or ServoRefused."""
        item = REGISTERS[register]
        return units.from_bytes(self.read_block(servo, item.address, item.size).data, item)

    def read_block(self, servo: int, address: int, size: int, retries: int = RETRIES) -> Answer:
        """Read bytes of the control table; raise PacketLost or ServoRefused."""
        return self._ask(servo, [2, *_word(address), *_word(size)], retries, size)

    def write(self, servo: int, register: str, value: int, retries: int = RETRIES) -> None:
        """Write one register and wait for the confirmation; raise PacketLost or ServoRefused."""
        item = REGISTERS[register]
        self._ask(servo, [3, *_word(item.address), *units.to_bytes(value, item)], retries)

    def reboot(self, servo: int) -> None:
        """Restart a servo, which is then silent for a while; raise PacketLost or ServoRefused."""
        self._ask(servo, [8], 0)

    # Many servos.

    def scan(self) -> dict[int, Identity]:
        """Return the identity of every servo on the bus, by id, at the speed of the bus.

        The answers to a ping of all servos come one after another, in the order of ids; those of
        two servos with one id destroy each other.
        """
        self._packets.txPacket(self._port, [0, 0, 0, 0, BROADCAST, 3, 0, 1, 0, 0])
        self._port.setPacketTimeoutMillis(
            MOST_SERVOS * (SLOT_MS + self._port.duration_ms(STATUS + IDENTITY))
        )
        data = b""
        while not self._port.isPacketTimeout():
            data += self._port.readPort(STATUS + IDENTITY)
        self._port.is_using = False  # the SDK's lock, which its own reception would release
        found = {}
        for packet in data.split(STATUS_HEADER)[1:]:
            packet = STATUS_HEADER + packet[: STATUS + IDENTITY - len(STATUS_HEADER)]
            if len(packet) == STATUS + IDENTITY and crc16(packet[:-2]) == int.from_bytes(
                packet[-2:], "little"
            ):
                number = int.from_bytes(packet[DATA : DATA + 2], "little")
                found[packet[4]] = Identity(number, packet[DATA + 2])
        return found

    def sync_write(self, register: str, values: Mapping[int, int]) -> None:
        """Write one register of many servos, id to value, without confirmation."""
        item = REGISTERS[register]
        parameters: list[int] = []
        for servo, value in values.items():
            parameters.append(servo)
            parameters += units.to_bytes(value, item)
        self._packets.syncWriteTxOnly(
            self._port, item.address, item.size, parameters, len(parameters)
        )

    def read_all(self, servos: Sequence[int], address: int, size: int) -> dict[int, Answer]:
        """Read the same bytes of many servos, with one retry; the result omits silent servos.

        The first attempt is a fast sync read if `fast`. A servo without an answer to the plain sync
        read is read alone, since a servo may wait for the one before it. Answers to earlier calls
        are rejected: for WARY after a loss, each call requests up to TAGS more bytes, each time
        another number.
        """
        if not servos:
            return {}
        self._tag = self._tag % TAGS + 1 if self._wary else 0
        answers = self._read_all(servos, address, size + self._tag)
        return {servo: Answer(a.data[:size], a.alert) for servo, a in answers.items()}

    def _read_all(self, servos: Sequence[int], address: int, size: int) -> dict[int, Answer]:
        if self.fast:
            answers = self._fast_sync_read(servos, address, size)
            if len(answers) == len(servos):
                self.fast_works, self._fast_failures = True, 0
                return answers
            self._fast_failures += 1
            if self._fast_failures >= FAST_FAILURES:
                self.fast = False
                self.counts["fast_reads_given_up"] += 1
                self._fast_failures = 0
            self.counts["retries"] += 1
        answers = self._sync_read(servos, address, size)
        for servo in servos:
            if servo not in answers:
                self.counts["retries"] += 1
                try:
                    answers[servo] = self._ask(servo, [2, *_word(address), *_word(size)], 0, size)
                except (PacketLost, ServoRefused):
                    continue
        return answers

    def _fast_sync_read(self, servos: Sequence[int], address: int, size: int) -> dict[int, Answer]:
        """Read all servos with one common status packet, which is lost as a whole."""
        self._packets.syncReadTx(self._port, address, size, list(servos), len(servos), True)
        stride = size + FAST_OVERHEAD
        packet: list[int] = []
        while len(packet) != ERROR + stride * len(servos):
            packet, result = self._receive(fast=True, alone=False)
            if result != COMM_SUCCESS:
                return {}
        answers = {}
        for servo, begin in zip(servos, range(ERROR, len(packet), stride), strict=True):
            error, answered = packet[begin : begin + 2]
            if answered == servo and not error & ~ALERT:
                data = bytes(packet[begin + 2 : begin + 2 + size])
                answers[servo] = Answer(data, bool(error & ALERT))
        return answers

    def _sync_read(self, servos: Sequence[int], address: int, size: int) -> dict[int, Answer]:
        """Read all servos with one status packet each."""
        # Not the SDK's group read: it discards answers of other ids while it waits for one id.
        self._packets.syncReadTx(self._port, address, size, list(servos), len(servos), False)
        answers: dict[int, Answer] = {}
        came = heard = 0
        while heard < len(servos):
            packet, result = self._receive(came=came, alone=False)
            if result != COMM_SUCCESS:
                break
            answer, error = _answer(packet), packet[ERROR] & ~ALERT
            if packet[4] not in servos or not (error or len(answer.data) == size):
                continue  # an answer to an earlier instruction
            came, heard = came + len(packet), heard + 1
            if not error:
                answers[packet[4]] = answer
        return answers

    def _ask(self, servo: int, instruction: list[int], retries: int, size: int = 0) -> Answer:
        """Send an instruction to one servo and return its answer, of `size` bytes."""
        length = len(instruction) + 2
        for attempt in range(1 + retries):
            self.counts["retries"] += attempt > 0
            head = [0, 0, 0, 0, servo, length & 0xFF, length >> 8]
            self._packets.txPacket(self._port, [*head, *instruction, 0, 0])
            self._port.setPacketTimeout(STATUS + size)
            packet, result = self._receive()
            while result == COMM_SUCCESS and packet[4] != servo:
                packet, result = self._receive()
            if result != COMM_SUCCESS:
                continue
            answer, error = _answer(packet), packet[ERROR] & ~ALERT
            if error:
                what = REFUSALS.get(error, f"answered error {error}")
                raise ServoRefused(f"servo {servo} {what} (instruction {bytes(instruction).hex()})")
            if len(answer.data) == size:
                return answer
        raise PacketLost(f"servo {servo} does not answer")

    def _receive(
        self, fast: bool = False, came: int = 0, alone: bool = True
    ) -> tuple[list[int], int]:
        """Return the next status packet that can answer the newest instruction.

        A late answer may arrive instead of the expected one. Its signs are an arrival before the
        wire can have carried both packets, a second packet behind it, or (for a common read) its
        length.

        Args:
            fast: whether the packet is the common answer to a fast sync read.
            came: number of bytes of the answer that have arrived before.
            alone: whether no other packet follows, and the length identifies nothing.
        """
        while True:
            packet, result = self._packets.rxPacket(self._port, fast)
            if result != COMM_SUCCESS:
                self.counts["lost_packets"] += 1
                self._wary_until = time.monotonic() + WARY
                return packet, result
            if self._port.too_early(came + len(packet)):
                self.counts["late_packets"] += 1
                continue
            if not (alone and self._wary and self._port.more_comes(LISTEN)):
                return packet, result

    @property
    def _wary(self) -> bool:
        return time.monotonic() < self._wary_until


def _answer(packet: list[int]) -> Answer:
    """Return the data of a status packet by its length field, which ignores trailing bytes."""
    length = packet[5] | packet[6] << 8
    return Answer(bytes(packet[DATA : 7 + length - 2]), bool(packet[ERROR] & ALERT))


def _word(value: int) -> tuple[int, int]:
    return value & 0xFF, value >> 8
