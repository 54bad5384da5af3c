"""Faults of an emulated bus, as data.

| fault           | effect                                                                    |
|-----------------|---------------------------------------------------------------------------|
| drop            | a status packet is lost                                                   |
| corrupt         | one byte of a status packet changes                                       |
| delay           | a status packet arrives `seconds` late                                    |
| duplicate       | a status packet arrives twice                                             |
| dead            | the servo neither hears nor answers, for `seconds` or forever             |
| brown_out       | the supply sinks to `volts` for `seconds`                                 |
| overload, encoder, shock | the servo sets this hardware error                               |
| weak            | the torque for an error falls to `strength` of itself, and with it the    |
|                 | current, as with worn brushes; 0: the motor is dead, its controller lives |
| loose           | the gear has `play`, in which an error makes no torque                    |
| overheat        | the temperature jumps to `celsius`, or above the limit, and falls         |
| unplug          | the adapter disappears for `seconds` (implemented by the port)            |
| clear           | all packet faults, dead, weak and loose servos and low supplies end       |
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from handlab_core.errors import BadConfig, UnknownName
from handlab_hardware.dynamixel.emulator.firmware.loop import ControlLoop
from handlab_hardware.dynamixel.protocol.registers import HardwareError

PACKET_FAULTS = ("drop", "corrupt", "delay", "duplicate")
SERVO_ERRORS = {
    "overload": HardwareError.OVERLOAD,
    "encoder": HardwareError.MOTOR_ENCODER,
    "shock": HardwareError.ELECTRICAL_SHOCK,
}
WEAR = ("weak", "loose")
KINDS = (*PACKET_FAULTS, "dead", "brown_out", *SERVO_ERRORS, *WEAR, "overheat", "unplug", "clear")

OVERHEAT_K = 5.0  # K above the temperature limit
MOST_PLAY = 1.0  # rad; largest play of a loose servo; chosen


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; its kind determines which other fields are used."""

    fault: str
    id: int | None = None
    """Id of the servo; None: all servos."""
    count: int | None = None
    """Number of status packets; None: until `clear`."""
    probability: float = 1.0  # probability of each packet
    seconds: float | None = None
    """s; delay of a packet, or duration of a dead servo, a low supply or a lost adapter."""
    volts: float = 8.0  # V; low supply
    celsius: float | None = None
    """degrees Celsius; None: OVERHEAT_K above the limit."""
    strength: float = 0.7  # remaining part of the torque of a weak servo
    play: float = 0.15  # rad; play of a loose servo, end to end

    def __post_init__(self) -> None:
        if self.fault not in KINDS:
            raise UnknownName("fault", self.fault, KINDS)
        if not 0.0 <= self.probability <= 1.0:
            raise BadConfig(f"a probability of {self.probability} is not between 0 and 1")
        if self.count is not None and self.count < 1:
            raise BadConfig(f"a fault for {self.count} packets does nothing; give 1 or more")
        if self.seconds is not None and self.seconds < 0.0:
            raise BadConfig(f"a fault cannot last {self.seconds} s; give 0 or more")
        if not 0.0 <= self.strength <= 1.0:
            raise BadConfig(f"a strength of {self.strength} is not between 0 and 1")
        if not 0.0 <= self.play <= MOST_PLAY:
            raise BadConfig(f"a play of {self.play} rad is not between 0 and {MOST_PLAY}")

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Fault":
        """Build from a JSON object; raise BadConfig for unknown fields and values."""
        known = {field.name for field in fields(cls)}
        if unknown := set(values) - known:
            raise BadConfig(f"unknown {sorted(unknown)} in a fault; there is: {sorted(known)}")
        try:
            return cls(**values)
        except TypeError as error:
            raise BadConfig(f"the fault {values} is invalid: {error}") from error


class Faults:
    """Active faults.

    Args:
        seed: seed of random faults.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._packet: list[tuple[Fault, int | None]] = []
        """Packet faults with the number of remaining packets."""
        self._waiting: list[Fault] = []
        self._dead: dict[int | None, float] = {}
        """Id of a dead servo to the time at which it lives again, s."""
        self._low: tuple[float, np.ndarray] | None = None
        """Time, s, at which the supply returns, and its former voltages, V."""
        self.quiet = True
        """Whether no fault is active; a short cut for speed."""

    def inject(self, fault: Fault) -> None:
        """Activate a fault; faults of servos begin at the next `advance`."""
        if fault.fault in PACKET_FAULTS:
            self._packet.append((fault, fault.count))
        else:
            self._waiting.append(fault)
        self.quiet = False

    def advance(self, now: float, loop: ControlLoop) -> None:
        """Begin and end the faults of servos that are due."""
        if self.quiet:
            return
        waiting, self._waiting = self._waiting, []
        for fault in waiting:
            self._begin(fault, now, loop)
        self._dead = {id: end for id, end in self._dead.items() if now < end}
        if self._low is not None and now >= self._low[0]:
            loop.advance(self._low[0])
            loop.supply, self._low = self._low[1], None
        self.quiet = not (self._packet or self._dead or self._low or self._waiting)

    def alive(self, id: int) -> bool:
        """Return whether a servo hears and answers."""
        return not self._dead or not (id in self._dead or None in self._dead)

    def distort(self, ids: Iterable[int], data: bytes) -> list[tuple[float, bytes]]:
        """Apply packet faults to a status packet.

        Args:
            ids: ids of the servos that contribute to the packet.
            data: bytes of the packet.

        Returns:
            Delay, s, and bytes of each arriving packet: none, one or two.
        """
        if self.quiet or not self._packet:
            return [(0.0, data)]
        arrivals, kept, ids = [(0.0, data)], [], tuple(ids)
        for fault, left in self._packet:
            hit = fault.id is None or fault.id in ids
            if hit and self._rng.random() < fault.probability:
                arrivals = self._strike(fault, arrivals)
                left = None if left is None else left - 1
            if left != 0:
                kept.append((fault, left))
        self._packet = kept
        return arrivals

    def _strike(
        self, fault: Fault, arrivals: list[tuple[float, bytes]]
    ) -> list[tuple[float, bytes]]:
        if fault.fault == "drop":
            return []
        if fault.fault == "duplicate":
            return arrivals + arrivals
        if fault.fault == "delay":
            late = 0.05 if fault.seconds is None else fault.seconds
            return [(delay + late, data) for delay, data in arrivals]
        return [(delay, self._corrupted(data)) for delay, data in arrivals]

    def _corrupted(self, data: bytes) -> bytes:
        at = int(self._rng.integers(len(data)))
        flipped = data[at] ^ int(self._rng.integers(1, 256))
        return data[:at] + bytes((flipped,)) + data[at + 1 :]

    def _begin(self, fault: Fault, now: float, loop: ControlLoop) -> None:
        concerned = [i for i, s in enumerate(loop.servos) if fault.id in (None, s.id)]
        if fault.fault == "dead":
            self._dead[fault.id] = np.inf if fault.seconds is None else now + fault.seconds
        elif fault.fault == "brown_out":
            before = loop.supply if self._low is None else self._low[1]
            self._low = (now + (0.5 if fault.seconds is None else fault.seconds), before)
            loop.supply = before.copy()
            loop.supply[concerned] = fault.volts
        elif fault.fault == "overheat":
            loop.temperature = loop.temperature.copy()
            for i in concerned:
                limit = loop.servos[i].table.get("temperature_limit")
                hot = limit + OVERHEAT_K if fault.celsius is None else fault.celsius
                loop.temperature[i] = hot
        elif fault.fault == "weak":
            loop.wear.weaken(concerned, fault.strength)
        elif fault.fault == "loose":
            loop.wear.loosen(concerned, fault.play)
        elif fault.fault in SERVO_ERRORS:
            for i in concerned:
                loop.servos[i].raise_error(SERVO_ERRORS[fault.fault])
        elif fault.fault == "clear":
            self._packet, self._dead = [], {}
            loop.wear.end()
            if self._low is not None:
                loop.supply, self._low = self._low[1], None
