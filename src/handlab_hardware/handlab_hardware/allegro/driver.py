"""Driver logic of an Allegro hand: a state machine fed with frames and time.

Bus, thread and clock are outside. The driver sends torques once for every complete set of four
finger frames: the hand's own period is the schedule. When frames stop:

| age of a finger's newest frame | consequence                                                |
|--------------------------------|------------------------------------------------------------|
| up to FINGER_LATE              | none                                                       |
| up to FINGER_LOST              | zero torque on that finger; the other fingers hold         |
| more, or all fingers           | SYSTEM_OFF; the start-up is repeated every RESTART_EVERY   |
| RECOVERY_SETS complete sets    | SYSTEM_ON if wanted; setpoints begin at the positions      |

A hand that reports a high temperature stays off until the report ends. A joint whose motor reports
an error is released until the hand clears the error, restarts or is engaged again. Readings advance
with complete sets only: a stale angle never gets a new stamp. Unknown frames are counted.

A V5 hand may send angles only while its motors are on (one owner's finding, see `protocol`). Its
motors therefore go on with zero torque at start-up, and zero torque replaces SYSTEM_OFF.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from handlab_core.hands import Hand
from handlab_core.hardware.backend import GoalsInForce
from handlab_core.safety.thermal_protection import ThermalProtection
from handlab_core.types import Array, BoolArray, Command, IntArray
from handlab_hardware.allegro.config import AllegroConfig, Mounting
from handlab_hardware.allegro.control import Interpolator, VelocityEstimate, pd_torque
from handlab_hardware.allegro.protocol import (
    FINGER_NAMES,
    FINGERS,
    JOINTS,
    JOINTS_EACH,
    Frame,
    HandInfo,
    Message,
    Serial,
    Status,
    counts_from_torque,
    describe_error,
    finger_joints,
    frame_id,
    pack_counts,
    pack_periods,
    rad_from_counts,
    split_id,
    torque_from_counts,
    torque_scale,
    unpack_counts,
    unpack_error,
    unpack_temperatures,
)

FINGER_LATE = 0.015
"""s; age at which a finger counts as silent; five periods of a V4 hand, more than bus delays."""
FINGER_LOST = 0.1
"""s; age at which the whole hand is released; the control period of a policy."""
RESTART_EVERY = 0.5
"""s; time between start-up attempts of a silent hand."""
RECOVERY_SETS = 20
"""Number of complete sets without a gap before the motors go on again; 60 ms of a V4 hand."""
INFO_EVERY = 1.0
"""s; time between requests for the hand's status; a fault is reported within this time."""
TEMPERATURE_LIMIT = 80.0
"""degrees Celsius; temperature limit of a joint; chosen as for the claw's servos, since the vendor
publishes none."""

IGNORED = {
    *(Message.IMU, Message.FINGERTIP, Message.FINGERTIP + 2, Message.CALIBRATED),
    *(Message.FINGERTIP_OF_MANUAL, Message.FINGERTIP_OF_MANUAL + 2),
    # Messages of hosts: some interfaces, such as udp_multicast, return a host's own frames.
    *(Message.SYSTEM_ON, Message.SYSTEM_OFF, Message.SET_PERIOD, Message.CONFIG),
    *(Message.PICK, Message.PLACE, Message.CALIBRATE),
    *(
        message + finger
        for message in (Message.SET_TORQUE, Message.SET_POSE)
        for finger in range(4)
    ),
}
"""Known messages that the driver does not use."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Measurement from one complete set of finger frames; arrays (16,) in the hand's order."""

    stamp: float  # s; arrival of the last frame of the set
    q: Array  # rad
    qd: Array  # rad/s
    effort: Array  # N m; torque as sent, since the hand measures none


class HandDriver:
    """Driver state of one hand.

    Args:
        hand: description of the hand.
        config: section `allegro` of the station file.
        send: function that sends a frame and returns whether the bus accepted it.
    """

    def __init__(self, hand: Hand, config: AllegroConfig, send: Callable[[Frame], bool]) -> None:
        self._hand, self._config, self._version = hand, config, config.protocol
        self._send_frame, self._mounting = send, Mounting(config, hand)
        gains = config.controller
        self._stiffness = self._mounting.sort(gains.stiffness)
        self._damping = self._mounting.sort(gains.damping)
        self.wanted = False
        """Whether the caller wants the motors on."""
        self.engaged = False
        """Whether the motors are on, by the newest command that was sent."""
        self._on = self._off_due = False
        self.info: HandInfo | None = None
        self.serial: Serial | None = None
        self.measurement: Measurement | None = None
        self.temperature = np.full(JOINTS, np.nan)
        """(16,) degrees Celsius; joint temperatures in the hand's order."""
        self.counts: Counter[str] = Counter(unknown_frames=0, malformed_frames=0, lost_fingers=0)
        self._wire_temperature = np.full(JOINTS, np.nan)
        self._errors = np.zeros(JOINTS, dtype=np.int64)  # error bits in the vendor's order
        self._serial_due = True
        self._heat = ThermalProtection(np.full(JOINTS, TEMPERATURE_LIMIT))
        self._thermal = self._heat.update(self.temperature)
        self._angle = np.zeros(JOINTS)  # rad; angles in the vendor's order
        self._seen = np.full(FINGERS, -np.inf)  # s; arrival of each finger's newest frame
        self._fresh = np.zeros(FINGERS, dtype=bool)
        self._late = np.ones(FINGERS, dtype=bool)
        self._sets = 0
        self._limit = np.zeros(JOINTS)  # N m; largest torques of the newest command
        self._effort = np.zeros(JOINTS)
        self._velocity = VelocityEstimate()
        self._interpolator: Interpolator | None = None
        self._next_info = self._next_restart = self._commanded = -np.inf
        self._scaled_for(geared_b=False)

    # Commands of the caller.

    def command(self, q: Array, effort: Array, now: float, period: float) -> None:
        """Take targets, rad, and largest torques, N m; a torque of 0 or NaN releases its joint."""
        self._limit = np.minimum(np.nan_to_num(effort, nan=0.0, posinf=np.inf), self._largest)
        self._commanded = now
        if self._interpolator is not None:
            self._interpolator.aim(q, now, period)

    def in_force(self, now: float) -> GoalsInForce:
        """Return the goals in force, (1, 16); joints of a silent finger are passive.

        While a finger is silent, the other fingers hold their setpoints.
        """
        passive = self.released | self._joints_of(self._late) | (not self.engaged)
        effort = np.where(passive, 0.0, self._largest)
        if self._interpolator is None:
            return GoalsInForce.passive(np.full((1, JOINTS), np.nan))
        target, setpoint = self._interpolator.target, self._interpolator.at(now)
        hold = setpoint[None] if self._late.any() else None
        goal = Command(np.where(self._limit > 0.0, target, setpoint)[None], effort[None])
        age = np.full((1, JOINTS), now - self._commanded)
        return GoalsInForce(goal, age, self._largest[None], hold=hold)

    def engage(self, wanted: bool) -> None:
        """Request the motors on, with every joint holding its position, or off."""
        if wanted and not self.wanted:
            self._limit = self._largest.copy()
            self._errors[:] = 0
        self.wanted = wanted

    # Frames of the hand.

    def receive(self, frame: Frame, now: float) -> None:
        """Process a frame that arrived at the time `now`, s."""
        message, device = split_id(frame.id)
        if frame.remote:  # request of a host
            return
        try:
            if device != self._config.device or not self._take(message, frame.data, now):
                self.counts["unknown_frames"] += 1
        except ValueError:
            self.counts["malformed_frames"] += 1

    def _take(self, message: int, data: bytes, now: float) -> bool:
        """Process the data of a message; return whether the message is known."""
        if 0 <= (finger := message - Message.FINGER_POSE) < FINGERS:
            self._take_pose(finger, data, now)
        elif 0 <= (finger := message - Message.TEMPERATURE) < FINGERS:
            self._wire_temperature[finger_joints(finger)] = unpack_temperatures(data)
            self.temperature = self._mounting.sort(self._wire_temperature)
            self._thermal = self._heat.update(self.temperature)
        elif message == Message.HAND_INFO:
            self.info = HandInfo.unpack(data)
        elif message == Message.SERIAL:
            self._take_serial(Serial.unpack(data))
        elif message == Message.ERROR:
            self._take_error(*unpack_error(data))
        else:
            return message in IGNORED
        return True

    def _take_serial(self, serial: Serial) -> None:
        """Take the first serial number after a start-up: it decides the torque scale."""
        if self._serial_due:
            self._serial_due, self.serial = False, serial
            self._scaled_for(serial.geared_b)

    def _take_error(self, motor: int, bits: int) -> None:
        """Record a motor's error bits; those of an unknown motor count for all motors."""
        self.counts["motor_errors"] += 1
        self._errors[motor if motor < JOINTS else slice(None)] = bits

    def _take_pose(self, finger: int, data: bytes, now: float) -> None:
        self._angle[finger_joints(finger)] = rad_from_counts(unpack_counts(data), self._version)
        self._seen[finger], self._fresh[finger] = now, True
        heard = ~self._late
        if self._fresh.all():
            self._fresh[:] = False
            self._complete(now)
        elif self.engaged and heard[finger] and self._fresh[heard].all():
            self._fresh[heard] = False  # a finger that is back waits for a complete set
            self._control(now)

    def _complete(self, now: float) -> None:
        """Process a complete set: send torques and publish a new measurement."""
        self._late[:] = False
        self._sets += 1
        q, qd = self._control(now)
        self.measurement = Measurement(now, q, qd, self._effort)

    def _control(self, now: float) -> tuple[Array, Array]:
        """Compute all torques and send those of fingers that are not silent."""
        q = self._mounting.q_from_wire(self._angle)
        stamps = self._mounting.sort(np.repeat(self._seen, JOINTS_EACH))
        qd = self._velocity.update(q, stamps)
        if self._interpolator is None:
            self._interpolator = Interpolator(q, self._hand.max_rate)
        limit = np.where(self.released, 0.0, self._limit if self.engaged else 0.0)
        self._interpolator.follow(q, limit <= 0.0)
        error = self._interpolator.at(now) - q
        torque = pd_torque(error, qd, self._stiffness, self._damping, limit)
        counts = counts_from_torque(self._mounting.torque_to_wire(torque), self._scale)
        self._effort = self._mounting.torque_from_wire(torque_from_counts(counts, self._scale))
        if self._on:
            for finger in np.flatnonzero(~self._late).tolist():
                self._send(Message.SET_TORQUE + finger, pack_counts(counts[finger_joints(finger)]))
        return q, qd

    # Timed actions.

    def start(self, now: float) -> None:
        """Send the vendor's start-up sequence without SYSTEM_ON, which needs complete sets first.

        A version that streams only while its motors are on gets SYSTEM_ON with zero torque.
        """
        self.engaged, self._sets, self._serial_due = False, 0, True
        self._errors[:] = 0
        self._next_restart, self._next_info = now + RESTART_EVERY, now + INFO_EVERY
        self._motors_off()
        self._send(Message.HAND_INFO, remote=True)
        self._send(Message.SERIAL, remote=True)
        self._send(Message.SET_PERIOD, pack_periods(self._version.periods))
        if self._version.streams_when_on:
            self._zero_torque()  # before and after SYSTEM_ON: a hand keeps its last torque
            self._on = self._send(Message.SYSTEM_ON)
            self._off_due &= not self._on
            self._zero_torque()

    def stop(self) -> None:
        """Send SYSTEM_OFF and turn the periodic frames off."""
        self.engaged = False
        self._zero_torque()
        self._motors_off()
        self._send(Message.SET_PERIOD, pack_periods((0, 0, 0)))

    def tick(self, now: float) -> None:
        """Check the age of the newest frames; call this method every few milliseconds."""
        age = now - self._seen
        self._notice_late(age > FINGER_LATE)
        lost = bool((age > FINGER_LOST).any())
        allowed = self.wanted and not lost and not self.too_hot
        if self._off_due:
            self._motors_off()
        if self.engaged and not allowed:
            self._let_go(lost)
        elif not self.engaged and allowed and self._sets >= RECOVERY_SETS:
            self._engage()
        if lost and now >= self._next_restart:
            self.counts["restarts"] += 1
            self.start(now)
        elif now >= self._next_info:
            self._next_info = now + INFO_EVERY
            self._send(Message.HAND_INFO, remote=True)

    def _notice_late(self, late: BoolArray) -> None:
        newly = late & ~self._late
        if not late.any() or not newly.any():
            return
        self.counts["lost_fingers"] += int(newly.sum())
        self._late |= late
        self._sets = 0
        self._fresh[late] = False
        if self._on:
            self._zero_torque(np.flatnonzero(newly).tolist())

    def _engage(self) -> None:
        """Turn the motors on; every joint holds its position until the next command."""
        if self._interpolator is not None:
            self._interpolator.hold()  # setpoints followed the positions while motors were off
        self.engaged = self._on = self._send(Message.SYSTEM_ON)
        self._off_due = False

    def _let_go(self, lost: bool) -> None:
        """Release the hand: turn motors off, or send zero torque if angles need motors on."""
        self.engaged = False
        if lost or not self._version.streams_when_on:
            self._motors_off()
        else:
            self._zero_torque()

    def _motors_off(self) -> None:
        """Send SYSTEM_OFF; `tick` repeats it until the bus accepts it."""
        self._on, self._off_due = False, not self._send(Message.SYSTEM_OFF)

    def _zero_torque(self, fingers: Iterable[int] = range(FINGERS)) -> None:
        for finger in fingers:
            self._send(Message.SET_TORQUE + finger, pack_counts(np.zeros(4, np.int64)))

    def _scaled_for(self, geared_b: bool) -> None:
        self._scale = torque_scale(self._version, geared_b)
        # The clip applies to counts before the halving for gear type B.
        clip = torque_from_counts(np.array(self._version.torque_clip), torque_scale(self._version))
        self._largest = np.minimum(self._mounting.sort(clip), self._hand.max_effort)

    def _send(self, message: int, data: bytes = b"", remote: bool = False) -> bool:
        return self._send_frame(Frame(frame_id(message, self._config.device), data, remote))

    # State.

    @property
    def too_hot(self) -> bool:
        """Return whether the hand reports a high temperature."""
        return self.info is not None and bool(self.info.status & Status.HIGH_TEMPERATURE)

    @property
    def hot(self) -> BoolArray:
        """Return which joints are released until they have cooled, (16,)."""
        return self._thermal.hot | self.too_hot

    @property
    def errors(self) -> IntArray:
        """Return the error bits of all motors, (16,), in the hand's order; see `MotorError`."""
        return self._mounting.sort(self._errors)

    @property
    def released(self) -> BoolArray:
        """Return which joints are released because of heat or a motor error, (16,)."""
        released: BoolArray = self.hot | (self.errors > 0)
        return released

    @property
    def pause(self) -> bool:
        """Return whether a joint is warm and asks for a pause after the present step."""
        return self._thermal.pause or self.too_hot

    def silent_fingers(self, now: float) -> BoolArray:
        """Return which fingers are silent, (4,), index to thumb."""
        return now - self._seen > FINGER_LATE

    def silent_joints(self, now: float) -> BoolArray:
        """Return which joints belong to silent fingers, (16,), in the hand's order."""
        return self._joints_of(self.silent_fingers(now))

    def _joints_of(self, fingers: BoolArray) -> BoolArray:
        """Convert a mask of fingers, (4,), to a mask of joints, (16,), in the hand's order."""
        return self._mounting.sort(np.repeat(fingers, JOINTS_EACH))

    def problems(self, now: float) -> tuple[str, ...]:
        """Return one sentence for each present problem, with its remedy."""
        found = []
        silent = self.silent_fingers(now)
        names = ", ".join(name for name, gone in zip(FINGER_NAMES, silent, strict=True) if gone)
        if silent.all():
            found.append("no frames from the hand: check its power and the CAN cable")
        elif silent.any():
            found.append(f"no frames from {names}: check the finger's cable in the palm")
        if self.too_hot:
            found.append("the hand reports a high temperature: its motors are off until it cools")
        if self._thermal.hot.any():
            joints = [j for j, hot in zip(self._hand.joints, self._thermal.hot, strict=True) if hot]
            found.append(f"too hot, and released until cool: {', '.join(joints)}")
        if self.info is not None and self.info.status & Status.INTERNAL_COMMUNICATION:
            found.append("the hand reports a fault of its inner bus: switch it off and on")
        errors = self.errors
        for bits in np.unique(errors[errors > 0]).tolist():
            names = ", ".join(self._hand.joints[i] for i in np.flatnonzero(errors == bits))
            found.append(
                f"the hand reports {describe_error(bits)} of {names}: released until the report "
                "ends, or until the hand is activated again"
            )
        return tuple(found)
