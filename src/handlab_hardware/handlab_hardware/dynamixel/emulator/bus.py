"""The bus: instruction packets in, status packets with their times out. Time is an argument.

The wire is half duplex and takes its time, ten bits a byte. An instruction is on it from when it
came, or from when the wire is free; a servo answers after its return delay and a processing time.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from handlab_core.errors import BadConfig
from handlab_hardware.dynamixel.emulator import packet
from handlab_hardware.dynamixel.emulator.faults import Faults
from handlab_hardware.dynamixel.emulator.loop import ControlLoop
from handlab_hardware.dynamixel.emulator.packet import BROADCAST, Code, Error, Instruction
from handlab_hardware.dynamixel.emulator.servo import (
    MAX_SECONDARY_ID,
    Answer,
    Servo,
)
from handlab_hardware.dynamixel.registers import TABLE_SIZE

PROCESSING_S = 50e-6
"""s from the end of an instruction to an answer with return delay 0, about what users see. A fast
read costs it once."""

FRAME_GAP_S = 0.1
"""s between bytes after which what was begun is no packet any more; chosen."""

BITS_PER_BYTE = 10  # 8N1
MAX_FAST_DATA = 60_000
"""Bytes of data in a fast reply, so that with what is around them they fit its length field."""

READ_LEVEL, WRITE_LEVEL = 1, 2
"""Status return levels from which on reads, and everything else, are answered."""
_NEEDED_LEVEL: dict[int, int] = {Code.PING: 0, Code.READ: READ_LEVEL}


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes for the host, and when the last of them is through the wire."""

    time: float  # s
    data: bytes


class Bus:
    """Servos on one wire.

    Args:
        loop: the control loop, with the servos.
        faults: what shall go wrong.
        processing: s, a servo's time for an instruction.
    """

    def __init__(
        self, loop: ControlLoop, faults: Faults | None = None, processing: float = PROCESSING_S
    ) -> None:
        self.loop, self.servos = loop, loop.servos
        ids = [servo.id for servo in self.servos]
        if len(set(ids)) < len(ids) or not ids:
            raise BadConfig(f"servo ids {ids}: give every servo an id of its own")
        self.faults = faults or Faults()
        self.processing = processing
        self.taps: list[Callable[[float, Instruction], None]] = []
        """Listeners; each is called with every packet, and the time [s] when it was through."""
        self._parser = packet.Parser()
        self._free = 0.0
        """s, when the wire is free."""
        self._began: float | None = None
        """s, when the first byte of an unfinished packet came."""
        self._last = 0.0
        """s, when the last byte came."""

    def advance(self, now: float) -> None:
        """Let the servos move up to `now`."""
        self.faults.advance(now, self.loop)
        self.loop.advance(now)

    def receive(self, data: bytes, now: float, baud: int) -> list[Reply]:
        """Take bytes from the host.

        Args:
            data: any piece of the stream.
            now: s, when they came.
            baud: the speed of the host's port.

        Returns:
            What the servos answer, in the order of their times.
        """
        if self._parser.pending and now - self._last > FRAME_GAP_S:
            self.hang_up()
        self._last = now
        if self._began is None:
            self._began = now
        replies: list[Reply] = []
        for instruction in self._parser.feed(data):
            heard = max(self._began, self._free) + instruction.size * BITS_PER_BYTE / baud
            self._free, self._began = heard, now
            replies += self._execute(instruction, heard, baud)
        if not self._parser.pending:
            self._began = None
        return replies

    @property
    def resting(self) -> bool:
        """Return whether nothing happens until an instruction or a fault comes."""
        return self.loop.resting and self.faults.quiet

    def hang_up(self) -> None:
        """Forget a packet that was begun; the host is gone."""
        self._parser.reset()
        self._began = None

    def _execute(self, instruction: Instruction, heard: float, baud: int) -> list[Reply]:
        """Let the servos act on a packet that has gone over the wire at the time `heard`."""
        self.advance(heard)
        for tap in self.taps:
            tap(heard, instruction)
        hearing = {s.id: s for s in self.servos if s.hears(baud, heard) and self.faults.alive(s.id)}
        if not hearing:
            return []
        self.loop.heard = heard
        if not instruction.intact:
            answers = self._refuse(instruction, hearing)
        elif instruction.code in _GROUP:
            answers = _GROUP[instruction.code](self, instruction.params, hearing)
        else:
            answers = self._single(instruction, hearing, heard)
        return self._send(answers, heard, baud)

    # One servo, or all with one instruction

    def _refuse(self, instruction: Instruction, hearing: "Hearing") -> "Answers":
        servo = hearing.get(instruction.id)
        return [] if servo is None else [_Sent(servo, _status(servo, Answer(Error.CRC)))]

    def _single(self, instruction: Instruction, hearing: "Hearing", heard: float) -> "Answers":
        called, code, params = instruction.id, instruction.code, instruction.params
        if called == BROADCAST:
            servos = [hearing[id] for id in sorted(hearing)]
            answers = [self._act(servo, code, params, heard, True) for servo in servos]
            if code != Code.PING:
                return []
            return [_Sent(s, _status(s, a)) for s, a in zip(servos, answers, strict=True)]
        for other in hearing.values():
            if other.secondary_id == called <= MAX_SECONDARY_ID and other.id != called:
                self._act_as_second(other, code, params)
        servo = hearing.get(called)
        if servo is None:
            return []
        level = servo.return_level  # a write that changes it, or a reboot, is answered by either
        answer = self._act(servo, code, params, heard, False)
        needed = _NEEDED_LEVEL.get(code, WRITE_LEVEL)
        if max(level, servo.return_level) < needed:
            return []
        return [_Sent(servo, _status(servo, answer, called))]

    def _act(self, servo: Servo, code: int, params: bytes, heard: float, broadcast: bool) -> Answer:
        if code == Code.PING:
            return servo.ping()
        if code == Code.READ:
            if len(params) != 4:
                return Answer(Error.DATA_LENGTH)
            self.loop.refresh()
            return servo.read(*struct.unpack("<HH", params))
        if code in (Code.WRITE, Code.REG_WRITE):
            if len(params) < 3:
                return Answer(Error.DATA_LENGTH)
            act = servo.write if code == Code.WRITE else servo.register
            return act(int.from_bytes(params[:2], "little"), params[2:])
        if code == Code.ACTION:
            return servo.action()
        if code == Code.REBOOT:
            return servo.reboot(heard)
        if code == Code.FACTORY_RESET:
            return servo.factory_reset(params[0] if params else 0, heard, broadcast)
        if code == Code.CLEAR:
            self.loop.refresh()
            return servo.clear(params)
        if code == Code.BACKUP:
            return servo.back_up(params, heard)
        return Answer(Error.INSTRUCTION)

    def _act_as_second(self, servo: Servo, code: int, params: bytes) -> None:
        """Do what was said to a servo's secondary id; silently, and only to the RAM."""
        if len(params) > 2 and code in (Code.WRITE, Code.REG_WRITE):
            act = servo.write if code == Code.WRITE else servo.register
            act(int.from_bytes(params[:2], "little"), params[2:], as_second=True)
        elif code == Code.ACTION:
            servo.action()

    # Many servos with one instruction

    def _sync_read(self, params: bytes, hearing: "Hearing") -> "Answers":
        return self._chain(_sync_reads(params), hearing)

    def _bulk_read(self, params: bytes, hearing: "Hearing") -> "Answers":
        return self._chain(_bulk_reads(params), hearing)

    def _chain(self, reads: "Reads", hearing: "Hearing") -> "Answers":
        """Servos answer one after the other; each waits for the one before it in the list.

        If that one is silent, so are all after it: seen on real servos (DynamixelSDK issue 331).
        """
        self.loop.refresh()
        answers: Answers = []
        for id, address, length in reads:
            servo = hearing.get(id)
            if servo is None or servo.return_level < READ_LEVEL:
                break
            answers.append(_Sent(servo, _status(servo, servo.read(address, length))))
        return answers

    def _fast_sync_read(self, params: bytes, hearing: "Hearing") -> "Answers":
        return self._fast(_sync_reads(params), hearing)

    def _fast_bulk_read(self, params: bytes, hearing: "Hearing") -> "Answers":
        return self._fast(_bulk_reads(params), hearing)

    def _fast(self, reads: "Reads", hearing: "Hearing") -> "Answers":
        """All answer with one packet, to which each adds its part; one missing loses it."""
        self.loop.refresh()
        parts = []
        for id, address, length in reads:
            servo = hearing.get(id)
            if servo is None or not servo.reads_fast or not servo.return_level:
                return []
            answer = servo.read(address, length)
            data = answer.params if not answer.error else bytes(min(length, TABLE_SIZE))
            parts.append((answer.error | servo.alert, id, data))
        if not parts or sum(len(data) for _, _, data in parts) > MAX_FAST_DATA:
            return []
        first = hearing[parts[0][1]]
        return [_Sent(first, packet.fast_status(parts), tuple(id for _, id, _ in parts))]

    def _sync_write(self, params: bytes, hearing: "Hearing") -> "Answers":
        if len(params) > 4:
            address, length = struct.unpack_from("<HH", params)
            for at in range(4, len(params) - length, length + 1):
                servo = hearing.get(params[at])
                if servo is not None:
                    servo.write(address, params[at + 1 : at + 1 + length])
        return []

    def _bulk_write(self, params: bytes, hearing: "Hearing") -> "Answers":
        at = 0
        while at + 5 < len(params):
            id, address, length = struct.unpack_from("<BHH", params, at)
            data = params[at + 5 : at + 5 + length]
            if id in hearing and len(data) == length:
                hearing[id].write(address, data)
            at += 5 + length
        return []

    # The way back

    def _send(self, answers: "Answers", heard: float, baud: int) -> list[Reply]:
        replies: list[Reply] = []
        end = heard
        for answer in answers:
            end += answer.servo.return_delay + self.processing
            end += len(answer.data) * BITS_PER_BYTE / baud
            for delay, data in self.faults.distort(answer.ids or (answer.servo.id,), answer.data):
                replies.append(Reply(end + delay, data))
                self._free = max(self._free, end + delay)
        replies.sort(key=lambda reply: reply.time)
        return replies


@dataclass(frozen=True, slots=True)
class _Sent:
    """A packet that a servo begins; a fast reply has parts of several."""

    servo: Servo
    data: bytes
    ids: tuple[int, ...] = ()


Hearing = dict[int, Servo]
Answers = list[_Sent]
Reads = Sequence[tuple[int, int, int]]  # id, address, length


def _status(servo: Servo, answer: Answer, id: int | None = None) -> bytes:
    return packet.status(servo.id if id is None else id, answer.error | servo.alert, answer.params)


def _sync_reads(params: bytes) -> Reads:
    if len(params) < 5:
        return []
    address, length = struct.unpack_from("<HH", params)
    return [(id, address, length) for id in params[4:]]


def _bulk_reads(params: bytes) -> Reads:
    return list(struct.iter_unpack("<BHH", params)) if len(params) % 5 == 0 else []


_GROUP: dict[int, Callable[[Bus, bytes, Hearing], Answers]] = {
    Code.SYNC_READ: Bus._sync_read,
    Code.SYNC_WRITE: Bus._sync_write,
    Code.FAST_SYNC_READ: Bus._fast_sync_read,
    Code.BULK_READ: Bus._bulk_read,
    Code.BULK_WRITE: Bus._bulk_write,
    Code.FAST_BULK_READ: Bus._fast_bulk_read,
}
