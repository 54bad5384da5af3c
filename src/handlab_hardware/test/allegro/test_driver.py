"""The driver and the emulated hand, frame by frame, in a time of the test's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlab_core.hands import make_hand
from handlab_core.hardware.backend import GoalsInForce
from handlab_core.objects.fixture import FIXTURES
from handlab_core.safety.clamped_backend import ClampedBackend
from handlab_core.types import Command, JointState, Reading
from handlab_hardware.allegro import driver as ladder
from handlab_hardware.allegro.config import AllegroConfig
from handlab_hardware.allegro.driver import HandDriver
from handlab_hardware.allegro.emulator import HIGH_TEMPERATURE, EmulatedHand
from handlab_hardware.allegro.physics import AMBIENT
from handlab_hardware.allegro.protocol import (
    VERSIONS,
    Frame,
    Message,
    frame_id,
    make_version,
    split_id,
    unpack_counts,
    unpack_periods,
)

TICK = 0.001


FULL = np.full(16, np.inf)


MIDDLE = 1


MIDDLE_JOINTS = slice(4, 8)


class Bench:
    """A driver and an emulated hand on a bus without delay."""

    def __init__(self, **config):
        self.hand = make_hand("allegro")
        self.config = AllegroConfig(**config)
        self.now, self.sent, self.answers = 0.0, [], []
        self.driver = HandDriver(self.hand, self.config, self._to_hand)
        self.emulated = EmulatedHand(
            self.answers.append,
            version=make_version(self.config.version),
            device=self.config.device,
        )

    def _to_hand(self, frame):
        self.sent.append((self.now, frame))
        self.emulated.receive(frame)
        return True

    def run(self, duration, before_each=lambda: None):
        for _ in range(round(duration / TICK)):
            before_each()
            self.now = round(self.now + TICK, 9)
            self.emulated.tick(self.now)
            for frame in self.answers:
                self.driver.receive(frame, self.now)
            self.answers.clear()
            self.driver.tick(self.now)

    def engaged(self):
        """Started, motors on, holding the nominal pose for a while."""
        self.driver.start(self.now)
        self.driver.engage(True)
        self.run(0.2)
        assert self.driver.engaged and self.emulated.servo_on
        return self

    def aim(self, q, effort=FULL):
        """Command as the guard does: the joints that take commands, or hold where that is due."""
        in_force = self.driver.in_force(self.now)
        q = np.asarray(q) if in_force.hold is None else in_force.hold[0]
        self.driver.command(q, np.where(in_force.goal.effort[0] > 0, effort, 0.0), self.now, 0.1)

    def messages(self, since=0.0):
        return [split_id(frame.id)[0] for at, frame in self.sent if at >= since]


@pytest.fixture
def bench():
    return Bench().engaged()


def test_start_up_is_in_the_vendors_order():
    bench = Bench(device=2)
    bench.driver.start(0.0)
    frames = [frame for _, frame in bench.sent]
    assert [frame.id for frame in frames] == [0x106, 0x202, 0x222, 0x206]
    assert [frame.remote for frame in frames] == [False, True, True, False]
    assert unpack_periods(frames[3].data) == (3, 0, 500)
    bench.driver.engage(True)
    bench.run(0.3)
    on = bench.messages().index(Message.SYSTEM_ON)
    assert Message.SET_TORQUE not in bench.messages()[:on]
    assert bench.driver.serial is not None and bench.driver.info is not None


def test_torque_goes_out_once_for_every_set_of_four_frames(bench):
    since = bench.now
    bench.run(3.0)
    torques = [m for m in bench.messages(since) if Message.SET_TORQUE <= m < Message.SET_TORQUE + 4]
    assert len(torques) == pytest.approx(4 * 1000, abs=8)  # every 3 ms
    assert torques[:4] == [Message.SET_TORQUE + i for i in range(4)]


@pytest.mark.parametrize("version", sorted(VERSIONS))
def test_a_pose_is_reached_and_held(version):
    bench = Bench(version=version).engaged()
    target = np.clip(bench.hand.nominal + 0.3, bench.hand.lower, bench.hand.upper)
    bench.run(1.0, before_each=lambda: bench.aim(target))
    count = make_version(version).rad_per_count
    assert np.abs(bench.emulated.q - target).max() < 0.002 + count
    assert np.abs(bench.driver.measurement.q - bench.emulated.q).max() <= 2 * count
    assert np.abs(bench.emulated.qd).max() < 0.02 + 30 * count  # a count is all it hunts for


def test_a_torque_is_never_beyond_clip_and_effort(bench):
    effort = np.full(16, 0.05)
    bench.run(0.05, before_each=lambda: bench.aim(bench.hand.upper, effort))
    assert np.abs(bench.driver.measurement.effort).max() <= 0.05 + 0.7 / 1200
    assert np.abs(bench.driver.measurement.effort).max() > 0.04
    since = bench.now
    bench.run(0.1, before_each=lambda: bench.aim(bench.hand.upper))
    counts = {}
    for at, frame in bench.sent:
        finger = split_id(frame.id)[0] - Message.SET_TORQUE
        if at > since and 0 <= finger < 4:
            counts.setdefault(finger, []).append(np.abs(unpack_counts(frame.data)))
    for finger, clip in enumerate([(375, 675, 450, 285)] * 3 + [(525, 405, 270, 270)]):
        assert (np.max(counts[finger], axis=0) <= clip).all()


def test_an_effort_of_zero_releases_its_joint(bench):
    effort = np.where(np.arange(16) == 5, 0.0, np.inf)
    bench.run(0.3, before_each=lambda: bench.aim(bench.hand.upper, effort))
    assert bench.emulated.counts[5] == 0
    assert bench.emulated.q[5] == pytest.approx(bench.hand.nominal[5], abs=0.01)
    assert bench.emulated.q[6] > bench.hand.nominal[6] + 0.1


def test_what_is_not_a_number_never_reaches_the_wire(bench):
    q, effort = bench.hand.nominal.copy(), np.full(16, np.inf)
    q[0], effort[1] = np.nan, np.nan
    bench.run(0.2, before_each=lambda: bench.aim(q, effort))
    assert np.abs(bench.emulated.counts).max() < 100
    assert np.abs(bench.emulated.q - bench.hand.nominal).max() < 0.01


def test_signs_and_zeros_reach_the_wire():
    signs, zeros = (-1,) + (1,) * 15, (0.0, 0.05) + (0.0,) * 14
    bench = Bench(signs=signs, zeros=zeros).engaged()
    target = bench.hand.nominal.copy()
    target[0], target[1] = 0.2, 0.3
    bench.run(1.0, before_each=lambda: bench.aim(target))
    assert bench.emulated.q[0] == pytest.approx(-0.2, abs=0.002)
    assert bench.emulated.q[1] == pytest.approx(0.35, abs=0.002)
    assert bench.driver.measurement.q[:2] == pytest.approx([0.2, 0.3], abs=0.002)


def test_a_finger_that_falls_silent_loses_its_torque_and_the_others_hold(bench):
    target = np.clip(bench.hand.nominal + 0.3, bench.hand.lower, bench.hand.upper)
    bench.run(0.03, before_each=lambda: bench.aim(target))  # on the way
    bench.emulated.faults.silent_fingers = {MIDDLE}
    stamp, at = bench.driver.measurement.stamp, bench.driver.measurement.q
    bench.run(0.09, before_each=lambda: bench.aim(target))
    assert (bench.emulated.counts[MIDDLE_JOINTS] == 0).all()
    assert bench.driver.engaged and bench.driver.counts["lost_fingers"] == 1
    assert bench.driver.measurement.stamp <= stamp + 0.003  # stale is never new
    others = np.delete(np.arange(16), MIDDLE_JOINTS)
    assert np.abs(bench.emulated.q - at)[others].max() < 0.1  # holds, and does not go on to 0.3
    torques = bench.messages(since=bench.now - 0.03)
    assert Message.SET_TORQUE in torques and Message.SET_TORQUE + MIDDLE not in torques
    assert "middle" in bench.driver.problems(bench.now)[0]
    assert bench.driver.silent_joints(bench.now).nonzero()[0].tolist() == [4, 5, 6, 7]


def test_a_finger_that_stays_silent_turns_the_motors_off(bench):
    bench.emulated.faults.silent_fingers = {MIDDLE}
    silent = bench.now
    bench.run(ladder.FINGER_LOST - 0.01)
    assert bench.emulated.servo_on
    bench.run(0.02)
    assert not bench.emulated.servo_on and not bench.driver.engaged
    off = next(at for at, f in bench.sent if at > silent and split_id(f.id)[0] == 0x41)
    assert off - silent == pytest.approx(ladder.FINGER_LOST, abs=0.005)


@pytest.mark.parametrize("silent", [{0}, {MIDDLE}, {3}, {0, 2}, {1, 2, 3}, {0, 1, 2, 3}])
def test_fingers_that_come_back_in_time_are_as_if_nothing_was(bench, silent):
    bench.emulated.faults.silent_fingers = silent
    bench.run(0.05)
    assert bench.now - bench.driver.measurement.stamp > 0.04
    bench.emulated.faults.silent_fingers = set()
    target = np.clip(bench.hand.nominal + 0.2, bench.hand.lower, bench.hand.upper)
    bench.run(1.0, before_each=lambda: bench.aim(target))
    assert bench.now - bench.driver.measurement.stamp < 0.005
    assert bench.messages().count(Message.SYSTEM_OFF) == 1  # of the start-up
    assert np.abs(bench.emulated.q - target).max() < 0.003


def test_motors_go_on_again_when_all_fingers_are_back_and_nothing_jumps(bench):
    bench.emulated.faults.silent_fingers = {MIDDLE}
    bench.run(0.3)
    bench.emulated.faults.silent_fingers = set()
    far = bench.hand.upper
    speeds = []
    bench.run(
        ladder.RESTART_EVERY + 0.3,
        before_each=lambda: (bench.aim(far), speeds.append(np.abs(bench.emulated.qd).max())),
    )
    assert bench.emulated.servo_on and bench.driver.problems(bench.now) == ()
    assert max(speeds) <= bench.hand.max_rate.max() * 1.2


def test_a_hand_without_power_is_started_again_when_it_has_some(bench):
    bench.emulated.faults.unplugged = True
    bench.run(1.2)
    assert "power" in bench.driver.problems(bench.now)[0]
    bench.emulated.periods, bench.emulated.servo_on = (0, 0, 0), False  # as after power-on
    bench.emulated.faults.unplugged = False
    bench.run(ladder.RESTART_EVERY + 0.2)
    assert bench.emulated.servo_on and bench.driver.problems(bench.now) == ()


def test_motors_that_are_not_wanted_stay_off_through_a_loss():
    bench = Bench()
    bench.driver.start(0.0)
    bench.run(0.2)
    bench.emulated.faults.unplugged = True
    bench.run(0.3)
    bench.emulated.faults.unplugged = False
    bench.run(1.0)
    assert Message.SYSTEM_ON not in bench.messages()


def test_unknown_and_malformed_frames_are_counted_and_harmless(bench):
    bench.emulated.faults.unknown_frames = True
    bench.emulated.faults.malformed_frames = True
    bench.driver.receive(Frame(frame_id(Message.FINGER_POSE, 3), bytes(8)), bench.now)  # a stranger
    target = np.clip(bench.hand.nominal + 0.3, bench.hand.lower, bench.hand.upper)
    bench.run(0.6, before_each=lambda: bench.aim(target))
    assert bench.driver.counts["unknown_frames"] == pytest.approx(201, abs=2)
    assert bench.driver.counts["malformed_frames"] == pytest.approx(200, abs=2)
    assert bench.driver.engaged
    assert np.abs(bench.emulated.q - target).max() < 0.003


def test_frames_of_hosts_and_of_sensors_are_known(bench):
    for message in (Message.SET_TORQUE + 2, Message.SYSTEM_ON, Message.IMU, Message.FINGERTIP):
        bench.driver.receive(Frame(frame_id(message, 0), bytes(6)), bench.now)
    bench.driver.receive(Frame(frame_id(Message.SERIAL, 0), remote=True), bench.now)
    assert bench.driver.counts["unknown_frames"] == 0


def test_temperatures_come_in_the_hands_order():
    names = make_hand("allegro").joints
    bench = Bench(order=tuple(reversed(names)))
    bench.emulated._heat.temperature = np.arange(30.0, 46.0)
    bench.driver.start(0.0)
    assert np.isnan(bench.driver.temperature).all()
    bench.run(0.6)
    np.testing.assert_array_equal(bench.driver.temperature, np.arange(45, 29, -1))


def test_warm_joints_ask_for_a_pause_and_hot_ones_are_released(bench):
    heat = bench.emulated._heat
    heat.temperature[3] = 68.0
    bench.run(0.6)
    assert bench.driver.pause and not bench.driver.hot.any()
    heat.temperature[3] = 77.0
    bench.run(0.6, before_each=lambda: bench.aim(bench.hand.upper))
    assert bench.driver.hot.nonzero()[0].tolist() == [3]
    assert bench.emulated.counts[3] == 0 and bench.emulated.counts[:3].any()
    assert "ffj3" in " ".join(bench.driver.problems(bench.now))


def test_a_high_temperature_fault_is_off_until_it_has_cooled(bench):
    bench.emulated._heat.temperature[0] = HIGH_TEMPERATURE + 1
    bench.run(0.01)
    assert not bench.emulated.servo_on  # the firmware's own doing
    bench.run(ladder.INFO_EVERY + 0.1)
    assert not bench.driver.engaged and bench.driver.hot.all()
    assert any("high temperature" in p for p in bench.driver.problems(bench.now))
    bench.emulated._heat.temperature[:] = AMBIENT
    bench.run(ladder.INFO_EVERY + 0.3)
    assert bench.emulated.servo_on and bench.driver.problems(bench.now) == ()


def test_an_inner_fault_is_told(bench):
    bench.emulated.faults.internal_communication = True
    bench.run(ladder.INFO_EVERY + 0.1)
    assert any("inner bus" in p for p in bench.driver.problems(bench.now))


def test_stopping_turns_motors_and_frames_off(bench):
    bench.driver.stop()
    assert not bench.emulated.servo_on and bench.emulated.periods == (0, 0, 0)
    bench.run(0.1)
    assert not bench.answers


def test_a_v5_hand_gets_its_motors_on_with_zero_torque_before_it_is_waited_for():
    bench = Bench(version="v5")
    bench.driver.start(0.0)
    sent = bench.messages()
    on = sent.index(Message.SYSTEM_ON)
    zeros = [m for m in sent[:on] if Message.SET_TORQUE <= m < Message.SET_TORQUE + 4]
    assert sent[0] == Message.SYSTEM_OFF and len(zeros) == 4
    assert bench.emulated.servo_on and not bench.driver.engaged
    bench.run(0.3)
    assert bench.driver.measurement is not None and not bench.emulated.counts.any()
    torques = [f for _, f in bench.sent if 0 <= split_id(f.id)[0] - Message.SET_TORQUE < 4]
    assert all(not unpack_counts(frame.data).any() for frame in torques)


def test_a_v5_hand_that_is_let_go_has_no_torque_and_goes_on_sending():
    bench = Bench(version="v5").engaged()
    target = np.clip(bench.hand.nominal + 0.3, bench.hand.lower, bench.hand.upper)
    bench.run(0.05, before_each=lambda: bench.aim(target))
    assert bench.emulated.counts.any()
    bench.driver.engage(False)
    bench.run(0.3)
    assert not bench.emulated.counts.any() and not bench.driver.engaged
    assert bench.now - bench.driver.measurement.stamp < 0.005
    bench.driver.stop()
    assert not bench.emulated.servo_on


def test_a_v5_hand_that_is_lost_is_off_and_comes_back():
    bench = Bench(version="v5").engaged()
    bench.emulated.faults.silent_fingers = {MIDDLE}
    bench.run(ladder.FINGER_LOST + 0.02)
    assert not bench.driver.engaged and not bench.emulated.counts.any()
    bench.emulated.faults.silent_fingers = set()
    bench.run(ladder.RESTART_EVERY + 0.2)
    assert bench.driver.engaged and bench.driver.problems(bench.now) == ()


def test_an_error_of_a_motor_releases_its_joint_and_is_named():
    bench = Bench(version="v5").engaged()
    bench.emulated.faults.motor_errors = {5: 0x24}
    far = np.clip(bench.hand.nominal + 0.3, bench.hand.lower, bench.hand.upper)
    bench.run(1.0, before_each=lambda: bench.aim(far))
    assert bench.emulated.counts[5] == 0 and bench.driver.errors[5] == 0x24
    others = np.delete(np.arange(16), 5)
    assert np.abs(bench.emulated.q - far)[others].max() < 0.02
    [problem] = bench.driver.problems(bench.now)
    assert "reports overheating, overload of mfj1: released" in problem
    assert bench.driver.counts["motor_errors"] == 1
    bench.emulated.faults.motor_errors = {5: 0}
    bench.run(1.0, before_each=lambda: bench.aim(far))
    assert bench.driver.problems(bench.now) == ()
    assert abs(bench.emulated.q[5] - far[5]) < 0.02


def test_an_error_of_an_unknown_motor_releases_all_and_engaging_again_tries_again():
    bench = Bench(version="v5").engaged()
    bench.driver.receive(Frame(frame_id(Message.ERROR, 0), bytes((77, 1))), bench.now)
    assert bench.driver.released.all()
    assert "input voltage of ffj0, ffj1" in bench.driver.problems(bench.now)[0]
    bench.driver.engage(False)
    bench.driver.engage(True)
    assert not bench.driver.released.any()


@pytest.mark.parametrize("message", [0x50, 0x52, 0xF0, 0xF2, 0x11, 0x12, 0x92])
def test_fingertips_and_messages_of_the_manual_are_known(message):
    bench = Bench(version="v5")
    bench.driver.receive(Frame(frame_id(message, 0), bytes(8)), 0.0)
    assert bench.driver.counts["unknown_frames"] == 0


def test_a_serial_number_out_of_nowhere_does_not_change_the_torques():
    bench = Bench(version="v5").engaged()
    bench.driver.receive(Frame(frame_id(Message.SERIAL, 0), b"5TBR0017"), bench.now)
    assert bench.driver.serial.text == "5TAR0001"


class Behind(Bench):
    """The same behind the guard, which steps it; implements `Hardware`."""

    num_envs, delivered, motor_status = 1, True, None

    def prepare(self, hand, fixture):
        return self.driver.in_force(self.now), GoalsInForce.passive(np.full((1, 1), np.nan))

    def step(self, hand, fixture, period, robots=None):
        self.driver.command(hand.q[0], hand.effort[0], self.now, period)
        return self.read()

    def read(self):
        newest = self.driver.measurement
        rows = (value[None].copy() for value in (newest.q, newest.qd, newest.effort))
        nothing = JointState(np.zeros(1), *np.full((3, 1, 1), np.nan))
        return Reading(JointState(np.array([newest.stamp]), *rows), nothing)

    def reset(self, robots=None, object_angle=0.0): ...
    def close(self): ...
    def activate(self): ...
    def deactivate(self): ...
    def reboot(self, joint): ...
    def calibrate(self, overwrite=False, force=False): ...


def behind_the_guard():
    bench = Behind().engaged()
    return bench, ClampedBackend(bench.hand, FIXTURES.make("valve"), bench)


def test_the_targets_that_are_recorded_are_those_that_the_driver_follows():
    bench, guard = behind_the_guard()
    rng = np.random.default_rng(3)

    def check(seconds):
        for _ in range(round(seconds / 0.01)):
            q = bench.hand.nominal + rng.uniform(-0.5, 0.5, 16)
            guard.step(Command(q[None], bench.hand.max_effort[None]), None, 0.01)
            sent = guard.sent[0]
            on = sent.effort[0] > 0
            np.testing.assert_array_equal(sent.q[0][on], bench.driver._interpolator.target[on])
            np.testing.assert_array_equal(sent.effort[0], bench.driver._limit)
            bench.run(0.01)
        return on

    assert check(0.5).all()
    bench.emulated.faults.silent_fingers = {MIDDLE}
    bench.run(0.03)
    assert check(0.02).nonzero()[0].tolist() == [i for i in range(16) if i // 4 != MIDDLE]
    held = guard.sent[0].q.copy()
    check(0.03)
    np.testing.assert_allclose(guard.sent[0].q[0, :4], held[0, :4], atol=1e-12)
    check(0.3)
    assert not guard.sent[0].effort.any(), "the motors are off"
    bench.emulated.faults.silent_fingers = set()
    assert check(1.0).all()
    bench.emulated._heat.temperature[3] = 77.0
    assert check(1.0).nonzero()[0].tolist() == [i for i in range(16) if i != 3]


@given(
    pauses=st.lists(st.sampled_from([0.001, 0.004, 0.01, 0.02, 0.05, 0.3]), max_size=25),
    ends=st.lists(st.booleans(), min_size=25, max_size=25),
)
@settings(max_examples=25, deadline=None)
def test_however_the_driver_is_stopped_no_setpoint_moves_faster_than_its_joint(pauses, ends):
    bench, guard = behind_the_guard()
    for pause, up in zip(pauses, ends, strict=False):
        target = bench.hand.upper if up else bench.hand.lower
        before, began = bench.driver._interpolator.target, bench.driver._commanded
        guard.step(Command(target[None], bench.hand.max_effort[None]), None, 0.01)
        moved = np.abs(bench.driver._interpolator.target - before)
        reach = bench.hand.max_rate * min(bench.now - began, 0.01)
        assert (moved <= reach + 1e-9).all()
        bench.run(pause)
