"""A typed layer over the vendor's SDK: what can be said to the servos on one port."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dynamixel_sdk import COMM_SUCCESS

from handlab_hardware.dynamixel import units
from handlab_hardware.dynamixel.failures import (
    FAST_FAILURES,
    REFUSALS,
    RETRIES,
    PacketLost,
    ServoRefused,
)
from handlab_hardware.dynamixel.registers import REGISTERS
from handlab_hardware.dynamixel.wire import SYSFS, Packets, Port, latency_ms, latency_warning

ALERT = 0x80  # of a status packet's error byte: the servo has a hardware error
BROADCAST = 0xFE
ERROR, DATA = 8, 9  # where error byte and data begin in a status packet
FAST_OVERHEAD = 4  # bytes of each servo in a fast reply: error, id, checksum
STATUS = 11  # bytes of a status packet without data
IDENTITY = 3  # bytes of data of an answer to a ping
MS_PER_S = 1000.0

WARY = 1.0
"""s after a loss, in which an answer that is late may still come."""

LISTEN = 0.002
"""s, while wary, to wait for a second answer behind the first: more than an adapter holds back."""

TAGS = 11
"""So many common reads in a row ask for different numbers of bytes, while wary; at 100 Hz that is a
tenth of a second. A status packet says not which instruction it answers, but it has a length. So
many bytes must follow those that are asked for: behind the present position there are 12."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one servo said."""

    data: bytes
    alert: bool  # it has a hardware error


@dataclass(frozen=True, slots=True)
class Identity:
    """What a servo says of itself when it is pinged."""

    model_number: int
    firmware: int


class ServoBus:
    """Servos on one serial port, Protocol 2.0.

    Args:
        port: path of the adapter.
        baud: bits per second.
        sysfs: where the kernel tells an adapter's latency timer.

    Raises:
        StationFault: the port cannot be opened; says what to do.
        BadConfig: no adapter knows the baud.

    Every method raises PortGone when the adapter is unplugged.
    """

    def __init__(self, port: str, baud: int, sysfs: Path = SYSFS) -> None:
        latency = latency_ms(port, sysfs)
        warning = latency_warning(port, latency)
        self.notes: tuple[str, ...] = (warning,) if warning else ()
        """What a person could improve."""
        self.counts: Counter[str] = Counter(retries=0, lost_packets=0)
        self.fast = False
        """Whether `read_all` begins with a fast sync read: all servos must know it."""
        self.fast_works = False
        """Whether one has ever been answered."""
        self._fast_failures = 0
        self._wary_until, self._tag = 0.0, 0
        self._port = Port(port, baud, (1 if latency is None else latency) / MS_PER_S)
        self._packets = Packets()

    @property
    def traffic(self) -> int:
        """Bytes sent and received so far."""
        return int(self._port.sent + self._port.received)

    def close(self) -> None:
        """Close the port; twice is harmless."""
        self._port.closePort()

    # One servo.

    def ping(self, servo: int, retries: int = RETRIES) -> Identity:
        """Ask a servo who it is; PacketLost if it is not there."""
        data = self._ask(servo, [1], retries, IDENTITY).data
        return Identity(int.from_bytes(data[:2], "little"), data[2])

    def read(self, servo: int, register: str) -> int:
        """Read one register; PacketLost, ServoRefused."""
        item = REGISTERS[register]
        return units.from_bytes(self.read_block(servo, item.address, item.size).data, item)

    def read_block(self, servo: int, address: int, size: int, retries: int = RETRIES) -> Answer:
        """Read some bytes of the control table; PacketLost, ServoRefused."""
        return self._ask(servo, [2, *_word(address), *_word(size)], retries, size)

    def write(self, servo: int, register: str, value: int, retries: int = RETRIES) -> None:
        """Write one register, and wait until the servo confirms it; PacketLost, ServoRefused."""
        item = REGISTERS[register]
        self._ask(servo, [3, *_word(item.address), *units.to_bytes(value, item)], retries)

    def reboot(self, servo: int) -> None:
        """Restart a servo, which is silent for a while; PacketLost, ServoRefused."""
        self._ask(servo, [8], 0)

    # Many servos.

    def sync_write(self, register: str, values: Mapping[int, int]) -> None:
        """Write one register of many servos, id to value; nobody confirms it."""
        item = REGISTERS[register]
        parameters: list[int] = []
        for servo, value in values.items():
            parameters.append(servo)
            parameters += units.to_bytes(value, item)
        self._packets.syncWriteTxOnly(
            self._port, item.address, item.size, parameters, len(parameters)
        )

    def read_all(self, servos: Sequence[int], address: int, size: int) -> dict[int, Answer]:
        """Read the same bytes of many servos: one try, one retry; who is silent is left out.

        The first try is a fast sync read if `fast`. Who does not answer the plain one is asked
        alone, since a servo may wait for the one before it. No answer to an earlier call is taken:
        for WARY after a loss each call asks for up to TAGS bytes more, another number each time.
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
        """All servos' data in one status packet, which is lost as a whole."""
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
        """One status packet of each servo that answers."""
        # Not the SDK's group read: waiting for one id, it throws the answers of others away.
        self._packets.syncReadTx(self._port, address, size, list(servos), len(servos), False)
        answers: dict[int, Answer] = {}
        came = heard = 0
        while heard < len(servos):
            packet, result = self._receive(came=came, alone=False)
            if result != COMM_SUCCESS:
                break
            answer, error = _answer(packet), packet[ERROR] & ~ALERT
            if packet[4] not in servos or not (error or len(answer.data) == size):
                continue  # to an earlier question
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
        """The next status packet that can be an answer to what was sent last.

        After a loss an answer may come late, and then look like the next one's: it betrays itself
        by being there before the wire can have carried both packets, or by another behind it (and
        to a common read by its length).

        Args:
            fast: it is the common answer to a fast sync read.
            came: bytes of the answer that came before.
            alone: no other packet follows, and its length tells nothing.
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
    """The data of a status packet, whose length field is right even if bytes trail behind it."""
    length = packet[5] | packet[6] << 8
    return Answer(bytes(packet[DATA : 7 + length - 2]), bool(packet[ERROR] & ALERT))


def _word(value: int) -> tuple[int, int]:
    return value & 0xFF, value >> 8
