"""Weak, dead and loose servos are found within seconds of motion, and healthy ones never."""

import numpy as np
import pytest

from handlab_core.hardware.servo_monitor import LAGS, ServoMonitor

N, DT, GAIN, DAMPING, LIMIT = 4, 0.01, 2.5, 0.05, 3.0
FAULTY = 2
UNKNOWN = np.full(N, np.nan)


class Joints:
    """Joints that follow swaying targets against friction and contacts, as a servo's loop does."""

    def __init__(self, seed=0, noise=0.0, gain=GAIN):
        self.rng, self.noise = np.random.default_rng(seed), noise
        self.gain, self.play = np.full(N, gain), np.zeros(N)
        self.q, self.qd = np.zeros(N), np.zeros(N)
        self.time, self.sent = 0.0, [np.zeros(N)] * 3

    def cycle(self, monitor, speed=4.0, stalled=0):
        """Move for one cycle, or for more if nobody commands and measures meanwhile."""
        for _ in range(stalled):
            self._move(self.sent[0])
        self.time += DT * (1 + stalled)
        target = 0.5 * np.sin(speed * self.time + np.arange(N))
        self.sent = [target, *self.sent[:2]]
        late = 0.6 * self.sent[1] + 0.4 * self.sent[2]  # 14 ms
        self._move(late)
        torque = self._torque(late)
        measured = self.q + self.noise * (self.rng.random(N) - 0.5)
        valid = np.ones(N, dtype=bool)
        monitor.observe(DT * (1 + stalled), target, measured, self.qd, torque, valid)

    def _move(self, target):
        for _ in range(5):
            torque = self._torque(target)
            wall = -40.0 * np.maximum(self.q - 0.2, 0.0)  # something to push against
            self.qd += DT / 5 * (torque + wall - 0.1 * self.qd) / 1e-3 / 5
            self.q = self.q + DT / 5 * self.qd

    def _torque(self, target):
        error = target - self.q
        felt = np.sign(error) * np.maximum(np.abs(error) - self.play / 2, 0.0)
        return self.gain * felt - DAMPING * self.qd

    def run(self, monitor, seconds, **more):
        for _ in range(round(seconds / DT)):
            self.cycle(monitor, **more)


def findings(monitor):
    return {
        name: np.flatnonzero(getattr(monitor, name)).tolist() for name in ("weak", "dead", "loose")
    }


def healthy_then(change, seed=0, noise=0.0, gain=UNKNOWN):
    joints, monitor = Joints(seed, noise), ServoMonitor(np.full(N, LIMIT), gain)
    joints.run(monitor, 6.0)
    assert findings(monitor) == {"weak": [], "dead": [], "loose": []}
    change(joints)
    joints.run(monitor, 4.0)
    return monitor


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_motor_that_loses_30_percent_is_weak_and_no_other(seed, noise):
    def weaken(joints):
        joints.gain[FAULTY] *= 0.7

    monitor = healthy_then(weaken, seed, noise)
    assert findings(monitor) == {"weak": [FAULTY], "dead": [], "loose": []}
    assert monitor.strength[FAULTY] == pytest.approx(0.7, abs=0.06)


def test_a_motor_without_torque_is_dead_not_weak():
    def kill(joints):
        joints.gain[FAULTY] = 0.0

    monitor = healthy_then(kill)
    assert findings(monitor)["dead"] == [FAULTY] and not monitor.weak.any()


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_gear_with_play_is_loose_not_weak(noise):
    def loosen(joints):
        joints.play[FAULTY] = 0.15

    monitor = healthy_then(loosen, noise=noise)
    assert findings(monitor) == {"weak": [], "dead": [], "loose": [FAULTY]}
    assert 0.04 < monitor.play[FAULTY] < 0.3


def test_what_is_measured_is_compared_with_known_gains_from_the_start():
    """A hand that is weak when the driver starts is noticed if `identify` knows it healthy."""
    joints, known = Joints(), ServoMonitor(np.full(N, LIMIT), np.full(N, GAIN))
    joints.gain[FAULTY] *= 0.7
    joints.run(known, 4.0)
    assert findings(known)["weak"] == [FAULTY]
    unknown = ServoMonitor(np.full(N, LIMIT), UNKNOWN)
    joints.run(unknown, 4.0)
    assert not unknown.weak.any()


def test_ten_percent_less_as_of_a_hot_motor_is_no_finding():
    def warm(joints):
        joints.gain *= 0.9

    assert not any(findings(healthy_then(warm)).values())


def test_a_repaired_joint_is_well_again():
    joints, monitor = Joints(), ServoMonitor(np.full(N, LIMIT), np.full(N, GAIN))
    joints.gain[FAULTY] *= 0.5
    joints.run(monitor, 4.0)
    assert monitor.weak[FAULTY]
    joints.gain[FAULTY] = GAIN
    joints.run(monitor, 4.0)
    assert not any(findings(monitor).values())


def test_noise_and_a_hand_that_hardly_moves_make_no_finding():
    for seed in range(3):
        joints = Joints(seed, noise=0.03)
        monitor = ServoMonitor(np.full(N, LIMIT), UNKNOWN)
        joints.run(monitor, 10.0)
        joints.run(monitor, 10.0, speed=0.02)
        assert not any(findings(monitor).values())


def test_cycles_without_a_measurement_and_without_torque_are_left_out():
    joints, monitor = Joints(), ServoMonitor(np.full(N, LIMIT), np.full(N, GAIN))
    for _ in range(300):
        target = np.full(N, np.nan)
        monitor.observe(DT, target, joints.q, joints.qd, np.zeros(N), np.zeros(N, dtype=bool))
    joints.run(monitor, 3.0)
    assert not any(findings(monitor).values()) and np.isfinite(monitor.strength).all()


def test_targets_before_a_late_cycle_explain_nothing_after_it():
    joints, monitor = Joints(), ServoMonitor(np.full(N, LIMIT), np.full(N, GAIN))
    joints.run(monitor, 2.0)
    before = monitor._time.copy()
    joints.cycle(monitor, stalled=6)
    for _ in range(LAGS - 2):
        joints.cycle(monitor)
        np.testing.assert_array_equal(monitor._time, before)
    joints.cycle(monitor)
    assert (monitor._time != before).all()
    for _ in range(500):  # a slower rate becomes the usual one
        joints.cycle(monitor, stalled=1)
    assert (monitor._time > before / 2).all()


def test_a_disturbance_of_half_a_second_makes_no_finding():
    joints, monitor = Joints(), ServoMonitor(np.full(N, LIMIT), np.full(N, GAIN))
    seen = 0
    for _ in range(10):
        joints.run(monitor, 2.0)
        joints.gain *= 0.5
        joints.run(monitor, 0.5)
        joints.gain *= 2.0
        seen = max(seen, int(monitor._seen.max()))
        assert not any(findings(monitor).values())
    assert seen, "the disturbance was seen"


def test_a_joint_that_rests_is_not_judged_again_by_its_old_motion():
    joints, monitor = Joints(), ServoMonitor(np.full(N, LIMIT), np.full(N, GAIN))
    joints.gain *= 0.5
    while not monitor._seen.any():
        joints.cycle(monitor)
    still = np.zeros(N, dtype=bool)
    for _ in range(1000):
        monitor.observe(DT, joints.sent[0], joints.q, joints.qd, np.zeros(N), still)
    assert not any(findings(monitor).values())
