"""Emulated bus: instruction packets in, status packets with their times out.

Time is an argument. The wire is half duplex and carries ten bits per byte. An instruction starts
when it arrives, or when the wire becomes free. A servo answers after its return delay and a
processing time.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from handlab_core.errors import BadConfig
from handlab_hardware.dynamixel.emulator.faults import Faults
from handlab_hardware.dynamixel.emulator.firmware import packet
from handlab_hardware.dynamixel.emulator.firmware.loop import ControlLoop
from handlab_hardware.dynamixel.emulator.firmware.packet import BROADCAST, Code, Error, Instruction
from handlab_hardware.dynamixel.emulator.firmware.servo import MAX_SECONDARY_ID, Answer, Servo
from handlab_hardware.dynamixel.protocol.registers import TABLE_SIZE

PROCESSING_S = 50e-6
"""s; processing time from an instruction to its answer with return delay 0; chosen near users'
reports. A fast read takes this time once."""

FRAME_GAP_S = 0.1
"""s; pause between bytes that ends an incomplete packet; chosen."""

BITS_PER_BYTE = 10  # 8N1
MAX_FAST_DATA = 60_000
"""bytes; most data in a fast reply, within the range of its length field; chosen."""

READ_LEVEL, WRITE_LEVEL = 1, 2
"""Smallest status return levels at which reads, and other instructions, are answered."""
_NEEDED_LEVEL: dict[int, int] = {Code.PING: 0, Code.READ: READ_LEVEL}


@dataclass(frozen=True, slots=True)
class Reply:
    """Status packet for the host."""

    time: float  # s; end of the last byte
    data: bytes


class Bus:
    """Servos on one wire.

    Args:
        loop: control loop with the servos.
        faults: active faults; None: no faults.
        processing: processing time of an instruction, s.

    Raises:
        BadConfig: there are no servos, or two servos share an id.
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
        """Listeners; each is called with the time of the end, s, of every instruction packet."""
        self._parser = packet.Parser()
        self._free = 0.0
        """s; time at which the wire becomes free."""
        self._began: float | None = None
        """s; arrival of the first byte of an incomplete packet."""
        self._last = 0.0
        """s; arrival of the newest byte."""

    def advance(self, now: float) -> None:
        """Advance the servos to the time `now`, s."""
        self.faults.advance(now, self.loop)
        self.loop.advance(now)

    def receive(self, data: bytes, now: float, baud: int) -> list[Reply]:
        """Process bytes from the host.

        Args:
            data: next chunk of the byte stream.
            now: time of arrival, s.
            baud: speed of the host's port, bit/s.

        Returns:
            Answers of the servos in the order of their times.
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
        """Return whether nothing changes before the next instruction or fault."""
        return self.loop.resting and self.faults.quiet

    def hang_up(self) -> None:
        """Discard an incomplete packet."""
        self._parser.reset()
        self._began = None

    def _execute(self, instruction: Instruction, heard: float, baud: int) -> list[Reply]:
        """Execute a packet whose last byte was on the wire at the time `heard`, s."""
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
        """Execute an instruction for a secondary id: without an answer, on the RAM only."""
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
        """Return answers of servos in a chain, in which each waits for the one before it.

        After a silent servo all later ones are silent, as on real servos (DynamixelSDK issue 331).
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
        """Return one common answer, which is lost if one servo is silent."""
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

    # Answers

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
    """Status packet; a fast reply has parts of several servos."""

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
