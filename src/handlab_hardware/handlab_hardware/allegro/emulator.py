"""Emulated Allegro hand on a CAN bus: the firmware's behaviour, as far as it is known.

The hand answers remote frames, sends angles and temperatures at the periods of SET_PERIOD, and
applies SET_TORQUE while its motors are on. After power-on, motors and periodic frames are off. The
hand has no watchdog: like the vendor's, it keeps the last torques when the host falls silent.

A V5 hand sends angles only while its motors are on, and its HAND_INFO has no side; `protocol` names
the source of these findings.

    python -m handlab_hardware.allegro.emulator --interface udp_multicast --channel 239.74.163.2
"""

import argparse
import logging
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from handlab_core.errors import StationFault
from handlab_core.hands import make_hand
from handlab_core.system.scheduling import use_realtime_priority
from handlab_hardware.allegro.can_bus import CanBus
from handlab_hardware.allegro.physics import MotorHeat, SecondOrder, TorquePhysics
from handlab_hardware.allegro.protocol import (
    DEVICES,
    FINGERS,
    JOINTS,
    SIDES,
    V4,
    VERSIONS,
    Frame,
    HandInfo,
    Message,
    Serial,
    Status,
    Version,
    counts_from_rad,
    finger_joints,
    frame_id,
    pack_counts,
    pack_error,
    pack_temperatures,
    split_id,
    torque_from_counts,
    torque_scale,
    unpack_counts,
    unpack_periods,
)

STEP_MS = 1
"""ms; step of the emulation, the unit of SET_PERIOD."""
MS = 1e-3  # s
LONGEST_CATCH_UP = 0.02
"""s; largest delay that the emulation makes up for.

After a longer delay the hand's time stands still. Otherwise torques meant for milliseconds would
act for the whole delay."""
HIGH_TEMPERATURE = 80.0
"""degrees Celsius; temperature at which the firmware turns the motors off; chosen."""
HARDWARE, FIRMWARE = 0x0400, 0x0103
"""Version numbers in HAND_INFO; chosen, unused by the driver."""
SERIALS = {"v4": "0B000001", "v5": "5TA{side}0001"}
"""Serial numbers; chosen. In V5 the third character is the gear type, the fourth the side."""
UNKNOWN = 0x7F  # id of no message
BURST = 64
"""Largest number of frames between two checks of the time."""
REOPEN_EVERY = 0.5
"""s; time between attempts to open a bus that was lost."""
LISTEN = 0.2
"""s; wait for the answer of another hand on the bus; a hand answers within a millisecond."""
DEFAULT_BUS = ("udp_multicast", "239.74.163.2")
"""Interface and channel: python-can's own group, which needs no kernel module."""

log = logging.getLogger(__name__)


@dataclass
class Faults:
    """Present faults of an emulated hand; changes take effect at once."""

    silent_fingers: set[int] = field(default_factory=set)
    """Fingers, 0 to 3, that send no angles."""
    unplugged: bool = False
    """The CAN cable is unplugged."""
    unknown_frames: bool = False
    """The hand sends a frame with an unknown id with every set of angles."""
    malformed_frames: bool = False
    """The hand sends a truncated angle frame with every set of angles."""
    high_temperature: bool = False
    """The firmware reports a high temperature, whatever the motors' temperatures are."""
    internal_communication: bool = False
    """The firmware reports a fault of its internal bus."""
    no_info: bool = False
    """HAND_INFO goes unanswered, as with some V5 hands."""
    motor_errors: dict[int, int] = field(default_factory=dict)
    """Motor, 0 to 15, to the bits of `MotorError` that it reports; 0 clears an error."""


class EmulatedHand:
    """Firmware state of an emulated hand.

    Args:
        send: function that sends a frame; its result is ignored.
        physics: dynamics of the joints; None: independent joints.
        version: protocol version.
        device: device id, 0 to 3.
        side: right or left.
        serial: serial number, eight ASCII characters; empty: one that fits the version.
    """

    def __init__(
        self,
        send: Callable[[Frame], object],
        physics: TorquePhysics | None = None,
        version: Version = V4,
        device: int = 0,
        side: str = "right",
        serial: str = "",
    ) -> None:
        self._send_frame, self._version, self._device = send, version, device
        self._physics = physics or SecondOrder(make_hand("allegro"))
        self._side = SIDES.index(side)
        self._serial = Serial(serial or SERIALS[version.name].format(side=side[0].upper()))
        self._scale = torque_scale(version, self._serial.geared_b)
        self._heat = MotorHeat(np.array(version.torque_clip, dtype=np.float64))
        self.faults = Faults()
        self.ignored = 0
        """Number of malformed frames for this hand."""
        self._reported: dict[int, int] = {}
        self.servo_on = False
        self.periods = (0, 0, 0)
        self.counts = np.zeros(JOINTS, dtype=np.int64)
        """(16,) torque counts of the newest commands."""
        self.q, self.qd = self._physics.step(np.zeros(JOINTS), STEP_MS * MS)
        self._ms, self._now = 0, -np.inf

    def receive(self, frame: Frame) -> None:
        """Process a frame from the bus; ignore frames for other devices."""
        message, device = split_id(frame.id)
        if device != self._device or self.faults.unplugged:
            return
        try:
            if frame.remote:
                self._answer(message)
            else:
                self._obey(message, frame.data)
        except ValueError as error:
            self.ignored += 1
            if self.ignored == 1:
                log.warning("ignored a frame, and will ignore others silently: %s", error)

    def _obey(self, message: int, data: bytes) -> None:
        if message == Message.SYSTEM_ON:
            self.servo_on = not self._too_hot
        elif message == Message.SYSTEM_OFF:
            self._motors_off()
        elif message == Message.SET_PERIOD:
            self.periods, self._ms = unpack_periods(data), 0
        elif 0 <= (finger := message - Message.SET_TORQUE) < FINGERS and self.servo_on:
            self.counts[finger_joints(finger)] = unpack_counts(data)

    def _answer(self, message: int) -> None:
        if message == Message.HAND_INFO and not self.faults.no_info:
            self._send(message, self._info().pack())
        elif message == Message.SERIAL:
            self._send(message, self._serial.pack())
        elif 0 <= (finger := message - Message.FINGER_POSE) < FINGERS:
            self._send_pose(finger)
        elif 0 <= (finger := message - Message.TEMPERATURE) < FINGERS:
            self._send_temperature(finger)

    def tick(self, now: float) -> None:
        """Advance the time to `now`, s, and send the frames that are due."""
        if now - self._now > LONGEST_CATCH_UP:
            self._now = now - STEP_MS * MS
        while self._now + STEP_MS * MS <= now:
            self._now += STEP_MS * MS
            self._advance()

    def _advance(self) -> None:
        dt = STEP_MS * MS
        self._heat.step(self.counts.astype(np.float64), dt)
        if self._too_hot:
            self._motors_off()
        full = self._version.full_counts  # saturation of the motors
        counts = np.clip(self.counts, -full, full)
        self.q, self.qd = self._physics.step(torque_from_counts(counts, self._scale), dt)
        self._send_errors()
        self._ms += STEP_MS
        position, _, temperature = self.periods
        streams = self.servo_on or not self._version.streams_when_on
        if position and streams and self._ms % position == 0:
            self._send_set()
        if temperature and self._ms % temperature == 0:
            for finger in range(FINGERS):
                self._send_temperature(finger)

    def _send_errors(self) -> None:
        for motor, bits in self.faults.motor_errors.items():
            if self._reported.get(motor, 0) != bits:
                self._reported[motor] = bits
                self._send(Message.ERROR, pack_error(motor, bits))

    def _send_set(self) -> None:
        for finger in range(FINGERS):
            self._send_pose(finger)
        if self.faults.unknown_frames:
            self._send(UNKNOWN, bytes(8))
        if self.faults.malformed_frames:
            self._send(Message.FINGER_POSE, bytes(3))

    def _send_pose(self, finger: int) -> None:
        if finger not in self.faults.silent_fingers:
            counts = counts_from_rad(self.q[finger_joints(finger)], self._version)
            self._send(Message.FINGER_POSE + finger, pack_counts(counts))

    def _send_temperature(self, finger: int) -> None:
        celsius = self._heat.temperature[finger_joints(finger)]
        self._send(Message.TEMPERATURE + finger, pack_temperatures(celsius))

    def _info(self) -> HandInfo:
        if self._version.side_in_serial:  # constant values; manual V5 (4F) 1.3, section 11.3.4
            return HandInfo(HARDWARE, FIRMWARE, 0, 0, Status.SERVO_ON)
        status = Status.SERVO_ON if self.servo_on else Status(0)
        if self._too_hot:
            status |= Status.HIGH_TEMPERATURE
        if self.faults.internal_communication:
            status |= Status.INTERNAL_COMMUNICATION
        board = int(self._heat.temperature.max())
        return HandInfo(HARDWARE, FIRMWARE, self._side, board, status)

    @property
    def _too_hot(self) -> bool:
        hot = self._heat.temperature.max() >= HIGH_TEMPERATURE
        return self.faults.high_temperature or bool(hot)

    def _motors_off(self) -> None:
        self.servo_on = False
        self.counts[:] = 0

    def _send(self, message: int, data: bytes) -> None:
        if not self.faults.unplugged:
            self._send_frame(Frame(frame_id(message, self._device), data))


def serve(
    hand: EmulatedHand,
    wire: CanBus,
    stop: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run a hand in real time until `stop` is set; open the bus again when it is lost."""
    use_realtime_priority()
    while not stop.is_set():
        try:
            _serve(hand, wire, stop, clock)
        except StationFault as error:
            log.error("%s; trying again every %s s", error, REOPEN_EVERY)
            _reopen(wire, stop)


def _serve(
    hand: EmulatedHand, wire: CanBus, stop: threading.Event, clock: Callable[[], float]
) -> None:
    while not stop.is_set():
        frame, taken = wire.receive(STEP_MS * MS), 0
        while frame is not None:
            hand.receive(frame)
            taken += 1  # a flooded bus must not stop the hand's time
            frame = wire.receive(0.0) if taken < BURST else None
        hand.tick(clock())


def _reopen(wire: CanBus, stop: threading.Event) -> None:
    while not stop.wait(REOPEN_EVERY):
        with suppress(StationFault):
            wire.reopen()
            return


def check_free(wire: CanBus, device: int) -> None:
    """Check that no hand with this device id answers on the bus.

    Raises:
        StationFault: another hand answers; the message names the remedy.
    """
    wire.send(Frame(frame_id(Message.SERIAL, device), remote=True))
    answer = Message.SERIAL, device  # a waiting driver on the bus sends other frames
    deadline = time.monotonic() + LISTEN
    while (left := deadline - time.monotonic()) > 0:
        frame = wire.receive(left)
        if frame is not None and not frame.remote and split_id(frame.id) == answer:
            raise StationFault(
                f"a hand with device id {device} is on the CAN bus {wire.name} already; choose "
                "another channel, or end the other one"
            )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of bus and hand."""
    parser.add_argument("--interface", default=DEFAULT_BUS[0], help="interface of python-can")
    parser.add_argument("--channel", default=DEFAULT_BUS[1], help="channel of the interface")
    parser.add_argument("--device", type=int, default=0, choices=DEVICES)
    parser.add_argument("--version", default="v4", choices=sorted(VERSIONS))
    parser.add_argument("--side", default="right", choices=SIDES)


def run(arguments: argparse.Namespace, physics: TorquePhysics | None = None) -> None:
    """Emulate a hand until SIGINT or SIGTERM.

    Raises:
        StationFault: the bus cannot be opened.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    wire = CanBus(arguments.interface, arguments.channel)
    check_free(wire, arguments.device)
    version = VERSIONS[arguments.version]
    hand = EmulatedHand(wire.send, physics, version, arguments.device, arguments.side)
    log.info("an Allegro hand %s is on %s", arguments.version, wire.name)
    try:
        serve(hand, wire, stop)
    finally:
        wire.close()


def main() -> None:
    """Run from the command line, with independent joints."""
    parser = argparse.ArgumentParser(description="An emulated Allegro hand on a CAN bus.")
    add_arguments(parser)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
